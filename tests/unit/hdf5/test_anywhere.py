"""Values in other files, read by our code as HDF5 reads them on a disk; random views, storage and selections."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucket_loader.causes import Trouble
from bucket_loader.hdf5.anywhere import open_dataset
from bucket_loader.hdf5.beside import Beside
from bucket_loader.hdf5.file import Place
from bucket_loader.hdf5.stream import open_bytes
from tests.views import REFUSED, VIEWS, frame, stack, write_frames


def read_by_us(path: str, name: str, selection: tuple[slice, ...]) -> np.ndarray:
    with h5py.File(path) as file:
        root = Place(file.id)
        dataset = open_dataset(file, Place(root.open(file), root, name), Beside(path, open_bytes))
        assert dataset.is_elsewhere
        extents = [part.stop - part.start for part in selection]
        return dataset.read(selection).reshape(extents)


@st.composite
def parts_of(draw: st.DrawFn, length: int) -> slice:
    first = draw(st.integers(0, length - 1))
    return slice(first, draw(st.integers(first + 1, length)), draw(st.integers(1, 4)))


# the shape of another dataset, elements of the view, and the elements of the other that they are
Mapped = tuple[tuple[int, ...], tuple[slice, ...], tuple[slice, ...]]


@st.composite
def views(draw: st.DrawFn) -> tuple[tuple[int, ...], list[Mapped]]:
    """The shape of a view, and its parts. They do not overlap: HDF5 leaves elements without a value then."""
    shape = draw(st.tuples(*[st.integers(1, 12)] * draw(st.integers(1, 3))))
    parts, mapped = [], np.zeros(shape, bool)
    for _ in range(draw(st.integers(1, 4))):
        ours = tuple(draw(parts_of(extent)) for extent in shape)
        theirs, their_shape = [], []
        for part, extent in zip(ours, shape, strict=True):
            count, first, step = len(range(*part.indices(extent))), draw(st.integers(0, 3)), draw(st.integers(1, 3))
            theirs.append(slice(first, first + (count - 1) * step + 1, step))
            their_shape.append(theirs[-1].stop + draw(st.integers(0, 2)))
        if not mapped[ours].any():
            parts.append((tuple(their_shape), ours, tuple(theirs)))
        mapped[ours] = True
    return shape, parts


@given(views(), st.data())
def test_random_views(view, data: st.DataObject) -> None:
    shape, parts = view
    with TemporaryDirectory() as folder:
        layout = h5py.VirtualLayout(shape, "i4")
        for number, (their_shape, ours, theirs) in enumerate(parts):
            with h5py.File(f"{folder}/{number}.h5", "w") as file:
                file["x"] = np.arange(np.prod(their_shape), dtype="i4").reshape(their_shape) + 1000 * number
            layout[ours] = h5py.VirtualSource(f"{number}.h5", "x", their_shape)[theirs]
        path = f"{folder}/view.h5"
        with h5py.File(path, "w") as file:
            file.create_virtual_dataset("data", layout, fillvalue=-1)
        selection = tuple(data.draw(parts_of(extent)) for extent in shape)
        selection = tuple(slice(part.start, part.stop) for part in selection)
        with h5py.File(path) as file:
            expected = file["data"][selection]
        np.testing.assert_array_equal(read_by_us(path, "data", selection), expected)


@given(st.tuples(*[st.integers(1, 9)] * 2), st.lists(st.integers(1, 200), min_size=1, max_size=5), st.data())
def test_random_external_storage(shape: tuple[int, int], cuts: list[int], data: st.DataObject) -> None:
    """Also in files that end before the values do."""
    with TemporaryDirectory() as folder:
        external = []
        for number, size in enumerate(cuts):
            Path(f"{folder}/{number}.bin").write_bytes(os.urandom(data.draw(st.integers(1, 250))))
            last = number == len(cuts) - 1
            offset = data.draw(st.integers(0, 30))
            external.append((f"{folder}/{number}.bin", offset, h5py.h5f.UNLIMITED if last else size))
        path = f"{folder}/view.h5"
        with h5py.File(path, "w") as file:
            file.create_dataset("data", shape, "<u2", external=external)
        selection = tuple(slice(*sorted(data.draw(st.tuples(*[st.integers(0, extent)] * 2)))) for extent in shape)
        if any(part.start == part.stop for part in selection):
            return
        with h5py.File(path) as file:
            expected = file["data"][selection]
        named = _with_relative_names(path, external, shape)
        np.testing.assert_array_equal(read_by_us(named, "data", selection), expected)


def _with_relative_names(path: str, external: list[tuple[str, int, int]], shape: tuple[int, int]) -> str:
    """The same file for us: HDF5 takes a name as relative to where it runs."""
    relative = f"{Path(path).parent}/relative.h5"
    with h5py.File(relative, "w") as file:
        names = [(Path(name).name, offset, size) for name, offset, size in external]
        file.create_dataset("data", shape, "<u2", external=names)
    return relative


@pytest.mark.parametrize("name", ["torn", "some_are_missing", "records"])
def test_made_views(tmp_path: Path, name: str) -> None:
    path = tmp_path / "view.h5"
    with h5py.File(path, "w") as file:
        VIEWS[name](file, tmp_path)
        selection = tuple(slice(0, extent) for extent in file["data"].shape)
    with h5py.File(path) as file:
        expected = file["data"][()]
    np.testing.assert_array_equal(read_by_us(str(path), "data", selection), expected)


@pytest.mark.parametrize("name", ["endless", "of_a_view", "not_there", "of_another_type", "less_than_mapped"])
def test_what_is_refused_is_named(tmp_path: Path, name: str) -> None:
    fill, words = REFUSED[name]
    path = tmp_path / "view.h5"
    with h5py.File(path, "w") as file:
        fill(file, tmp_path)
    with pytest.raises(Trouble, match=words):
        read_by_us(str(path), "data", (slice(0, 1), slice(0, 1), slice(0, 1))[: 3 if name == "of_a_view" else 2])


@pytest.mark.parametrize(
    ("name", "uri"),
    [
        ("b.h5", "s3://bucket/a//b/b.h5"),
        ("./c/b.h5", "s3://bucket/a//b/c/b.h5"),
        ("../b.h5", "s3://bucket/a//b.h5"),
        ("../../../b.h5", "s3://bucket/b.h5"),
    ],
)
def test_names_are_relative_to_the_folder_of_the_key(name: str, uri: str) -> None:
    assert Beside("s3://bucket/a//b/view.h5", open_bytes).uri(name) == uri


@pytest.mark.parametrize("name", ["../../../../b.h5", "../../../../../etc/passwd"])
def test_no_name_leads_out_of_the_bucket(name: str) -> None:
    with pytest.raises(Trouble, match="outside of the bucket"):
        Beside("s3://bucket/a//b/view.h5", open_bytes).uri(name)


def test_a_prefix_bounds_what_is_read() -> None:
    beside = Beside("s3://bucket/in/view.h5", open_bytes, ["in/", "raw/"])
    assert beside.uri("../raw/x.bin") == "s3://bucket/raw/x.bin"
    with pytest.raises(Trouble, match=r"secret/x\.bin is not below src_prefix"):
        beside.uri("../secret/x.bin")


def test_views_share_more_files_than_stay_open(tmp_path: Path) -> None:
    """A file that was closed meanwhile is opened again, with its dataset."""
    names, path = write_frames(tmp_path / "frames"), tmp_path / "view.h5"
    with h5py.File(path, "w") as file:
        stack(file, names[:1])
        file.move("data", "first")
        stack(file, names)
    everything = (slice(0, 1), slice(0, 64), slice(0, 300))
    with h5py.File(path) as file:
        root, beside = Place(file.id), Beside(str(path), open_bytes)
        first, all_of_them = (
            open_dataset(file, Place(root.open(file), root, name), beside) for name in ("first", "data")
        )
        for _ in range(2):
            np.testing.assert_array_equal(first.read(everything), frame(0).ravel())
            last = all_of_them.read((slice(0, len(names)), *everything[1:]))
            np.testing.assert_array_equal(last[-64 * 300 :], frame(len(names) - 1).ravel())
