"""How a dataset gets into a domain, from its header; and the chunks of what is cut."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from bucket_loader.hdf5.file import Dataset, Place
from bucket_loader.storage import datatypes, layout
from bucket_loader.storage.chunks import shuffled
from bucket_loader.storage.layout import Copied, Decoded, Empty, Linked, Sliced

DATA = np.arange(120_000, dtype="f8").reshape(300, 400)


def planned(path: Path, fill: Callable[[h5py.File], object], link: bool) -> layout.Plan:
    with h5py.File(path, "w") as file:
        fill(file)
    with h5py.File(path) as file:
        dataset = Dataset(file, Place(file["data"].parent.id, Place(file.id), "data"))
        held = datatypes.as_held(dataset.form, dataset.id.dtype)
        return layout.plan(dataset, held, link, 128 << 20)


def chunks(shape: tuple[int, ...], **options: object) -> Callable[[h5py.File], object]:
    return lambda file: file.create_dataset("data", data=DATA, chunks=shape, **options)


@pytest.mark.parametrize(
    ("fill", "linked", "copied"),
    [
        (chunks((150, 200)), Linked, Copied),
        (chunks((150, 200), compression="gzip", shuffle=True), Linked, Copied),
        (chunks((150, 200), shuffle=True), Linked, Copied),
        (chunks((170, 230), shuffle=True), Decoded, Decoded),  # the edge may be unfiltered
        (chunks((150, 200), fletcher32=True), Decoded, Decoded),
        (chunks((150, 200), compression="lzf"), Decoded, Decoded),
        (chunks((10, 10)), Linked, Decoded),
        (lambda file: file.create_dataset("data", data=DATA), Linked, Sliced),
        (lambda file: file.create_dataset("data", data=1.5), Decoded, Decoded),
        (lambda file: file.create_dataset("data", shape=(0, 5), dtype="f4"), Empty, Empty),
        (lambda file: file.create_dataset("data", shape=(100, 5), dtype="f4"), Empty, Empty),  # never written
        (lambda file: file.create_dataset("data", data=["a", "b"]), Decoded, Decoded),
    ],
)
def test_the_best_way(tmp_path: Path, fill: Callable[[h5py.File], object], linked: type, copied: type) -> None:
    assert type(planned(tmp_path / "a.h5", fill, link=True)) is linked
    assert type(planned(tmp_path / "a.h5", fill, link=False)) is copied


def test_many_small_chunks_are_linked_some_at_a_time(tmp_path: Path) -> None:
    plan = planned(tmp_path / "a.h5", chunks((10, 10)), link=True)
    assert isinstance(plan, Linked) and plan.part == (10, 10)
    assert np.prod(plan.chunk) // 100 <= 128 and plan.chunk[1] % 10 == 0


def test_what_is_cut_covers_everything_once() -> None:
    rng = np.random.default_rng(3)
    for _ in range(200):
        shape = tuple(int(n) for n in rng.integers(1, 40, rng.integers(1, 4)))
        item, most = int(rng.integers(1, 9)), int(rng.integers(8, 4000))
        piece = layout.slab(shape, item, most)
        assert np.prod(piece) * item <= max(most, item)
        places, starts, lengths = layout.runs(shape, piece, item)
        order = np.argsort(starts)
        assert (starts[order][1:] == (starts + lengths)[order][:-1]).all() and starts.min() == 0
        assert lengths.sum() == np.prod(shape) * item
        assert len(np.unique(places, axis=0)) == len(places)


def test_pieces_that_divide_end_with_the_data() -> None:
    piece = layout.slab((1001, 12), 8, 1000, divide=True)
    assert all(extent % part == 0 for extent, part in zip((1001, 12), piece, strict=True))


def test_shuffle_is_hdf5s(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        dataset = file.create_dataset("data", data=DATA[0], chunks=(400,), shuffle=True)
        stored = dataset.id.read_direct_chunk((0,))[1]
    assert shuffled(DATA[0].tobytes(), 8) == stored
