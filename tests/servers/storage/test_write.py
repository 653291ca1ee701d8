"""What the direct engine writes is read back right by an HSDS that did not load it, or is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest

from bucket_loader.storage.write import Unholdable
from tests import files
from tests.odd_files import ODD
from tests.samples import fixed, low_level

pytestmark = pytest.mark.servers
MODES = pytest.mark.parametrize("mode", ["link", "ingest"])

# what HSDS cannot hold or hand out, and what is said of it
REFUSED = {
    "region_references": "region references",
    "sequences_of_records": "sequences of compound",
    "nested_sequences": "items of variable length",
    "arrays": "elements that are arrays",
    "many_arrays": "elements that are arrays",
    "long_double": "numbers of 16 bytes",
    "time": "which HSDS does not know",
    "virtual_of_others": "cannot be read",
    "external_storage": "cannot be read",
}


@pytest.mark.long
@MODES
@pytest.mark.parametrize("name", ODD)
def test_an_odd_file_is_the_same_or_refused(verify_servers, tmp_path: Path, name: str, mode: str) -> None:
    fill, options = ODD[name]
    path = tmp_path / f"odd-{name}.h5"
    with h5py.File(path, "w", **options) as file:
        fill(file)
    if name in REFUSED:
        with pytest.raises(Exception, match=REFUSED[name]):
            verify_servers.write(path, mode)
        return
    domain, _ = verify_servers.write(path, mode)
    expect_same(verify_servers, path, domain)


def expect_same(verify_servers, path: Path, domain: str) -> None:
    report = verify_servers.verify(path, domain)
    assert report.same, "\n".join(map(str, report.differences + report.troubles))


@MODES
def test_every_kind_of_good_file(verify_servers, tmp_path: Path, mode: str) -> None:
    for name, body in files.GOOD.items():
        path = tmp_path / name
        path.write_bytes(body)
        domain, _ = verify_servers.write(path, mode)
        expect_same(verify_servers, path, domain)


@MODES
def test_the_file_of_the_mutations(verify_servers, base_file: Path, mode: str) -> None:
    domain, written = verify_servers.write(base_file, mode)
    expect_same(verify_servers, base_file, domain)
    assert (written.linked > 0) is (mode == "link")


NUMBERS = np.arange(300_000, dtype="i4").reshape(600, 500)


def chunked(shape: tuple[int, ...], **options: object) -> Callable[[h5py.File], None]:
    return lambda file: file.create_dataset("data", data=NUMBERS, chunks=shape, **options) and None


def skipped_filters(file: h5py.File) -> None:
    dataset = file.create_dataset("data", (40, 50), "i4", chunks=(10, 50), compression="gzip", shuffle=True)
    for row in range(4):
        chunk = np.arange(500, dtype="i4") + row
        dataset.id.write_direct_chunk((10 * row, 0), chunk.tobytes(), filter_mask=3)


def unfiltered_edges(file: h5py.File) -> None:
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk((100, 300))
    properties.set_deflate(4)
    file.create_dataset("data", data=NUMBERS, chunks=(100, 300), compression="gzip")


def some_small_chunks(file: h5py.File) -> None:
    dataset = file.create_dataset("data", (400, 500), "i2", chunks=(10, 10), fillvalue=-5)
    dataset[5:25, 5:25] = 7
    dataset[399, 499] = 9


def many_small_some_missing(file: h5py.File) -> None:
    dataset = file.create_dataset("data", (3_000_000,), "i4", chunks=(100,), fillvalue=3)
    dataset[:1_000_000] = np.arange(1_000_000)


def growing(file: h5py.File) -> None:
    file.create_dataset("none", (0, 5), "f8", maxshape=(None, 5), chunks=(64, 5))
    file.create_dataset("some", data=np.arange(50.0).reshape(10, 5), maxshape=(None, 50), chunks=(64, 7))


def texts(file: h5py.File) -> None:
    words = [f"{number}-ä-" * (number % 50) for number in range(5000)]
    text = h5py.string_dtype()
    file.create_dataset("flat", data=words, dtype=text)
    file.create_dataset("chunks", data=np.array(words, object).reshape(50, 100), dtype=text, chunks=(7, 30))
    file.create_dataset("packed", data=words, dtype=text, chunks=(999,), compression="gzip", shuffle=True)
    low_level(file, "spaces", fixed(6, h5py.h5t.STR_SPACEPAD), b"ab    c     ")


def references(file: h5py.File) -> None:
    file["a/b"] = np.arange(3)
    pointers = file.create_dataset("pointers", (100,), h5py.ref_dtype, chunks=(10,))
    pointers[::2] = file["a/b"].ref
    pointers[1] = file["a"].ref
    file["a"].attrs["to"] = file["a/b"].ref
    file["a"].attrs["several"] = np.array([file.ref, file["a"].ref], h5py.ref_dtype)
    for axis in ("x", "y"):
        file[axis] = np.arange(4.0)
        file[axis].make_scale(axis)
    file["grid"] = np.zeros((4, 4))
    file["grid"].dims[0].attach_scale(file["x"])
    file["grid"].dims[1].attach_scale(file["y"])


def contiguous(file: h5py.File) -> None:
    file["prime"] = np.arange(1_299_709, dtype="f8")  # the last, at the end of the file
    file["wide"] = np.arange(2 * 3 * 700_001, dtype="u1").reshape(2, 3, 700_001)


def at_the_end(file: h5py.File) -> None:
    file["data"] = np.arange(1_299_709, dtype="f8")


def large_chunks(file: h5py.File) -> None:
    data = np.arange(10_000_000, dtype="f8").reshape(1000, 10_000)
    file.create_dataset("whole", data=data, chunks=(500, 10_000))
    file.create_dataset("packed", data=data, chunks=(1000, 5_000), **hdf5plugin.LZ4())


MADE: dict[str, Callable[[h5py.File], None]] = {
    "plain": chunked((50, 60)),
    "gzip": chunked((100, 250), compression="gzip"),
    "shuffle": chunked((100, 250), shuffle=True),
    "shuffle_edges": chunked((170, 270), shuffle=True),
    "gzip_shuffle": chunked((300, 500), compression="gzip", shuffle=True),
    "fletcher": chunked((300, 500), fletcher32=True, compression="gzip"),
    "lzf": chunked((300, 500), compression="lzf"),
    "scaleoffset": chunked((300, 500), scaleoffset=0),
    "lz4": chunked((300, 500), **hdf5plugin.LZ4()),
    "zstd": chunked((100, 100), **hdf5plugin.Zstd()),
    "bitshuffle": chunked((300, 500), **hdf5plugin.Bitshuffle()),
    "tiny": chunked((3, 7), compression="gzip", shuffle=True),
    "skipped_filters": skipped_filters,
    "unfiltered_edges": unfiltered_edges,
    "some_small_chunks": some_small_chunks,
    "many_small_some_missing": many_small_some_missing,
    "growing": growing,
    "texts": texts,
    "references": references,
    "contiguous": contiguous,
    "at_the_end": at_the_end,
    "large_chunks": large_chunks,
}


@MODES
@pytest.mark.parametrize("name", MADE)
def test_layouts_and_filters(verify_servers, tmp_path: Path, name: str, mode: str) -> None:
    path = tmp_path / f"made-{name}.h5"
    with h5py.File(path, "w") as file:
        MADE[name](file)
    domain, _ = verify_servers.write(path, mode)
    expect_same(verify_servers, path, domain)


def test_only_links_or_nothing(verify_servers, tmp_path: Path) -> None:
    path = tmp_path / "lz4.h5"
    with h5py.File(path, "w") as file:
        MADE["lz4"](file)
    with pytest.raises(Unholdable, match=r"^dataset /data is not linked: chunks with .*lz4"):
        verify_servers.write(path, "link", copy=False)


@pytest.mark.parametrize("in_flight", [4 << 20, 64 << 20])
def test_datasets_of_megabytes(verify_servers, tmp_path: Path, in_flight: int) -> None:
    """Some are copied while the others are still looked for: those that there is room for."""
    path, rows = tmp_path / f"large-{in_flight}.h5", np.arange(6 * 100_000, dtype="i4").reshape(6, 100_000)
    with h5py.File(path, "w") as file:
        for number in range(6):
            file.create_dataset(f"chunked/{number}", data=rows + number, chunks=(1, 100_000))
            file[f"contiguous/{number}"] = rows - number
        file.create_dataset("small_chunks", data=rows, chunks=(1, 1000), compression="gzip")
        file.create_dataset("larger_than_all", data=np.tile(rows, (3, 1)), chunks=(1, 100_000))
    domain, written = verify_servers.write(path, "ingest", in_flight=in_flight)
    expect_same(verify_servers, path, domain)
    assert (written.datasets, written.copied) == (14, 14)
    assert sorted(sizes.chunks for sizes in written.sizes.values()) == [1] * 6 + [2] + [6] * 6 + [18]
