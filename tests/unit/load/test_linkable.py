"""Which datasets can be linked. That the others really cannot be read back is what each was tried for."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest

from bucket_loader.hdf5.elsewhere import values_elsewhere
from bucket_loader.hdf5.file import objects
from bucket_loader.load.linkable import (
    _read_bytes,
    copy_problem,
    link_problem,
)

DATA = np.arange(2000, dtype="i4")
TEXT = h5py.string_dtype()


def told(path: Path, question: Callable[[str, h5py.h5d.DatasetID], str] = link_problem) -> list[str]:
    with h5py.File(path) as file:
        answers = [question(item.path, item.id) for item in objects(file) if item.kind == "dataset"]
    return list(filter(None, answers))


def make(path: Path, fill: Callable[[h5py.File], object], **options: object) -> Path:
    with h5py.File(path, "w", **options) as file:
        fill(file)
    return path


@pytest.mark.parametrize(
    "options", [{}, {"compression": "gzip"}, {"shuffle": True}, {"compression": 9, "shuffle": True}]
)
def test_what_hsds_decodes(tmp_path: Path, options: dict[str, object]) -> None:
    path = make(tmp_path / "a.h5", lambda f: f.create_dataset("group/data", data=DATA, chunks=(500,), **options))
    assert told(path) == []


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"scaleoffset": 0}, "scaleoffset"),
        ({"fletcher32": True}, "fletcher32"),
        ({"compression": "lzf"}, "lzf"),
        ({"compression": "szip"}, "szip"),
        (dict(hdf5plugin.LZ4()), "lz4"),
        (dict(hdf5plugin.Zstd()), "zstd"),
        (dict(hdf5plugin.Blosc()), "blosc"),
        (dict(hdf5plugin.Bitshuffle()), "bitshuffle"),
    ],
)
def test_what_hsds_does_not_decode(tmp_path: Path, options: dict[str, object], name: str) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("fine", data=DATA)
        file.create_dataset("group/data", data=DATA, chunks=(500,), **options)
    (line,) = told(tmp_path / "a.h5")
    assert line.startswith("dataset /group/data has chunks with") and name.lower() in line.lower()


def test_small_and_contiguous_datasets_do_not_matter(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("copied", data=DATA[:512], chunks=(100,), compression="lzf")
        file.create_dataset("contiguous", data=DATA)
        file["null"] = h5py.Empty("f4")
        file.create_dataset("text", data=["a"] * 600, dtype=TEXT)
    assert told(tmp_path / "a.h5") == []


def gzip_before_shuffle(file: h5py.File) -> None:
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk((500,))
    properties.set_deflate(4)
    properties.set_shuffle()
    space = h5py.h5s.create_simple((2000,))
    made = h5py.h5d.create(file.id, b"data", h5py.h5t.NATIVE_INT32, space, properties)
    made.write(h5py.h5s.ALL, h5py.h5s.ALL, DATA)


def one_chunk_as_it_is(file: h5py.File) -> None:
    data = file.create_dataset("data", data=DATA, chunks=(500,), compression="gzip")
    data.id.write_direct_chunk((500,), DATA[500:1000].tobytes(), filter_mask=1)


def references(file: h5py.File) -> None:
    file["data"] = np.array([file.ref] * 600, h5py.ref_dtype)


def text_in_records(file: h5py.File) -> None:
    file["data"] = np.array([("a", 1)] * 600, [("t", TEXT), ("n", "i4")])


def gaps(file: h5py.File) -> None:
    file["data"] = np.zeros(600, np.dtype({"names": ["a", "b"], "formats": ["i1", "f8"], "offsets": [0, 8]}))


def gaps_inside(file: h5py.File) -> None:
    inner = np.dtype({"names": ["a", "b"], "formats": ["i1", "f8"], "offsets": [0, 8]})
    file["data"] = np.zeros(600, [("x", inner), ("y", "i2")])


def twelve_bits(file: h5py.File) -> None:
    kind = h5py.h5t.STD_I16LE.copy()
    kind.set_precision(12)
    h5py.h5d.create(file.id, b"data", kind, h5py.h5s.create_simple((600,))).write(
        h5py.h5s.ALL, h5py.h5s.ALL, np.zeros(600, "i2")
    )


def many_tiny_chunks(file: h5py.File) -> None:
    file.create_dataset("data", data=DATA, chunks=(1,))


def nothing_written(file: h5py.File) -> None:
    file.create_dataset("data", shape=(600,), dtype="i4")


def virtual(file: h5py.File) -> None:
    file["part"] = DATA
    layout = h5py.VirtualLayout((2000,), "i4")
    layout[:] = h5py.VirtualSource(".", "part", (2000,))
    file.create_virtual_dataset("data", layout)


@pytest.mark.parametrize(
    ("fill", "words"),
    [
        (gzip_before_shuffle, "the filters deflate, shuffle in an order that HSDS does not undo"),
        (one_chunk_as_it_is, "1 chunks that skipped a filter"),
        (references, "has references, which HSDS keeps in another form"),
        (text_in_records, "has members of variable length"),
        (gaps, "compounds with gaps"),
        (gaps_inside, "compounds with gaps"),
        (twelve_bits, "numbers of an unusual format (12 bits at bit 0)"),
        (many_tiny_chunks, "2000 chunks of 4 bytes"),
        (nothing_written, "has no data in the file yet"),
        (virtual, "is virtual"),
    ],
)
def test_types_layouts_and_chunks_that_cannot_be_linked(
    tmp_path: Path, fill: Callable[[h5py.File], object], words: str
) -> None:
    (line,) = told(make(tmp_path / "a.h5", fill))
    assert line.startswith("dataset /data ") and words in line
    assert told(tmp_path / "a.h5", values_elsewhere) == []


def test_chunks_of_a_usual_size_can_be_linked_however_many(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("data", shape=(4000, 1024), dtype="i4", chunks=(4, 1024))[...] = 2
        file.create_dataset("sparse", shape=(1 << 20,), dtype="i4", chunks=(4,))[5] = 2
    assert told(tmp_path / "a.h5") == []


def outside(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((2000,), "i4")
    layout[:] = h5py.VirtualSource("parts/one.h5", "part", (2000,))
    file.create_virtual_dataset("data", layout)


def external(file: h5py.File) -> None:
    file.create_dataset("data", shape=(4,), dtype="i4", external=[("raw.bin", 0, h5py.h5f.UNLIMITED)])


@pytest.mark.parametrize(
    ("fill", "words"),
    [
        (outside, "is virtual, with its data in other files: parts/one.h5"),
        (external, "keeps its data in other files: raw.bin"),
    ],
)
def test_data_in_other_files_is_refused(tmp_path: Path, fill: Callable[[h5py.File], object], words: str) -> None:
    (line,) = told(make(tmp_path / "a.h5", fill), values_elsewhere)
    assert line == f"dataset /data {words}"


@pytest.mark.parametrize(
    ("shape", "maxshape", "chunks", "swells"),
    [
        ((10,), (100_000_000_000,), (1,), True),
        ((10_000,), (1 << 30,), (100,), True),
        ((10, 10), (10, 1 << 28), (5, 5), True),
        ((10, 10), (1 << 20, 64), (5, 5), True),
        ((10, 10), (None, 1 << 10), (5, 5), False),
        ((10,), (None,), (1,), False),
        ((10,), (10_000_000,), (1,), False),
        ((1 << 20,), (1 << 40,), (1 << 18,), False),
    ],
)
def test_a_dataset_of_which_hsds_would_make_a_huge_chunk(
    tmp_path: Path, shape: tuple[int, ...], maxshape: tuple[int | None, ...], chunks: tuple[int, ...], swells: bool
) -> None:
    path = make(tmp_path / "a.h5", lambda f: f.create_dataset("data", shape, "f8", maxshape=maxshape, chunks=chunks))
    assert bool(told(path, copy_problem)) is swells


def test_a_contiguous_dataset_is_read_as_far_as_hsds_cuts_it() -> None:
    chunk_util = pytest.importorskip("hsds.util.chunkUtil")
    rng = np.random.default_rng(2)
    for _ in range(500):
        shape = tuple(int(n) for n in rng.integers(1, 3000, int(rng.integers(1, 4))))
        told_shape = {"class": "H5S_SIMPLE", "dims": list(shape)}
        piece = chunk_util.getContiguousLayout(told_shape, 8, chunk_min=1 << 20, chunk_max=4 << 20)
        last = [(extent - 1) // part * part for extent, part in zip(shape, piece, strict=True)]
        expected = (int(np.ravel_multi_index(last, shape)) + math.prod(piece)) * 8
        assert _read_bytes(shape, 8) == expected, (shape, piece)
