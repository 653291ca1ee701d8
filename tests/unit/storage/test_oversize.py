"""Small files that ask for everything: each is refused by name before its load, at the cost of a small file."""

from __future__ import annotations

import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from bucket_loader.hdf5.file import objects
from bucket_loader.load.preflight import Preflight, preflight
from bucket_loader.storage import oversize
from bucket_loader.storage.oversize import SizeLimits

pytestmark = pytest.mark.slow

# what the libraries of a look take by themselves is 140 MB
BOUND = 400 << 20


def looked(path: Path, *arguments: str) -> Preflight:
    """The answer of a look in a process of its own, whose memory stays in bounds."""
    answer = path.with_suffix(".json")
    command = [sys.executable, "-m", "bucket_loader.load.preflight", "--answer", str(answer), *arguments, str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said = process.communicate()[0]
    assert process.returncode == 0, said
    usage = subprocess.run(  # of one more run, told by the kernel
        ["python3", "-c", _MEASURE, *command], capture_output=True, text=True, check=True
    )
    assert int(usage.stdout) < BOUND >> 10, "in KiB"
    from bucket_loader.children.answer import Answer

    return Preflight.from_json(Answer.from_json(answer.read_text()).content)


_MEASURE = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def bomb(path: Path, chunk: tuple[int, ...] = (1 << 20, 384)) -> Path:
    """A gzip chunk of 3 GiB of zeros, in 3 MB; made by hand, because to write it takes the memory that it is about."""
    block, size = bytes(1 << 24), int(np.prod(chunk)) * 8
    # packed once: after a full flush, the same bytes stand for the same zeros
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    part = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    adler32 = (size % 65521) << 16 | 1
    packed = b"\x78\xda" + part * (size // len(block)) + packer.flush() + adler32.to_bytes(4, "big")
    with h5py.File(path, "w") as file:
        data = file.create_dataset("/a/bomb", chunk, "f8", chunks=chunk, compression="gzip")
        data.id.write_direct_chunk((0,) * len(chunk), packed)
    return path


def test_a_chunk_that_no_data_node_can_hold_is_refused(tmp_path: Path) -> None:
    path = bomb(tmp_path / "bomb.h5")
    assert path.stat().st_size < 4_000_000
    for arguments in ([], ["--copied"]):
        load_problem = looked(path, *arguments).load_problem
        assert load_problem.startswith("dataset /a/bomb has chunks of 3,221,225,472 bytes"), load_problem
        assert "134,217,728 are allowed (max_chunk_size)" in load_problem
    with h5py.File(path) as file:
        assert not preflight(file, limits=SizeLimits(chunk=4 << 30)).load_problem, "by the settings"


def test_an_element_that_no_data_node_can_hold_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "element.h5", "w") as file:
        file.create_dataset("opaque", (1,), h5py.opaque_dtype(np.dtype("V200000000")))
        assert preflight(file).load_problem.startswith("dataset /opaque has elements of 200,000,000 bytes")


PETABYTE = 1 << 47  # elements of 8 bytes


@pytest.mark.parametrize(
    "made",
    [
        {"shape": (PETABYTE,)},
        {"shape": (PETABYTE,), "chunks": (1 << 20,)},
        {"shape": (PETABYTE,), "chunks": (1 << 20,), "fillvalue": 7.0, "compression": "gzip"},
        {"shape": (1 << 12,) * 3 + (1 << 11,), "chunks": (1, 1, 64, 64)},
    ],
    ids=["contiguous", "chunked", "filled", "dimensions"],
)
def test_a_petabyte_that_nobody_wrote_is_refused(tmp_path: Path, made: dict[str, object]) -> None:
    with h5py.File(tmp_path / "empty.h5", "w") as file:
        file.create_dataset("void", dtype="f8", **made)
    load_problem = looked(tmp_path / "empty.h5").load_problem
    assert load_problem.startswith("dataset /void: ") and "(max_unwritten_size)" in load_problem
    assert f"{PETABYTE * 8:,} bytes" in load_problem or "bytes of the file's values" in load_problem


def test_many_datasets_together_are_refused_and_ordinary_sparse_ones_are_not(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "sparse.h5", "w") as file:
        for number in range(8):
            data = file.create_dataset(f"{number}", (1 << 27,), "f8", chunks=(1 << 17,), compression="gzip")
            data[:1000] = 1
        file.create_dataset("packed", data=np.zeros(1 << 20), chunks=(1 << 17,), compression="gzip")
        assert not preflight(file).load_problem, "8 GiB"
        for number in range(8, 80):
            file.create_dataset(f"{number}", (1 << 27,), "f8", chunks=(1 << 17,))
        assert "bytes of the file's values were never written" in preflight(file).load_problem, "80 GiB"


def test_a_virtual_dataset_has_the_values_that_are_mapped(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "virtual.h5", "w") as file:
        file.create_dataset("part", data=np.arange(1000.0))
        layout = h5py.VirtualLayout((1 << 36,), "f8")
        layout[:1000] = h5py.VirtualSource(".", "part", (1000,))
        file.create_virtual_dataset("whole", layout)
        assert preflight(file).load_problem.startswith("dataset /whole: ")


@pytest.mark.long
def test_long_names_take_no_memory_for_each_object_below_them(tmp_path: Path) -> None:
    """20,000 groups below a name of 60 kB: their paths would be 1.2 GB."""
    with h5py.File(tmp_path / "names.h5", "w", libver="latest") as file:
        low = h5py.h5g.create(file.id, b"n" * 60_000)
        for number in range(20_000):
            h5py.h5g.create(low, b"%d" % number)
    with h5py.File(tmp_path / "names.h5") as file:
        assert sum(item.place.depth for item in objects(file)) == 1 + 2 * 20_000
    assert "/ has a link with a name of 60,000 bytes" in looked(tmp_path / "names.h5").load_problem


@pytest.mark.timeout(120)
@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_attributes_are_gone_through_once(tmp_path: Path, libver: str) -> None:
    """20,000 attributes of one object took minutes when each was opened by its number."""
    with h5py.File(tmp_path / "many.h5", "w", libver=libver) as file:
        obj = h5py.h5g.create(file.id, b"many")
        space = h5py.h5s.create(h5py.h5s.SCALAR)
        for number in range(20_000 if libver == "latest" else 2_000):
            h5py.h5a.create(obj, b"a%d" % number, h5py.h5t.STD_I32LE, space)
        found = preflight(file)
        assert found.counts.attributes in (20_000, 2_000) and not found.load_problem


@pytest.mark.timeout(120)
def test_deep_groups_are_refused_without_being_walked_to_their_end(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "deep.h5", "w", libver="latest") as file:
        group = h5py.h5g.create(file.id, b"g")
        for _ in range(9_000):
            group = h5py.h5g.create(group, b"g")
    load_problem = looked(tmp_path / "deep.h5").load_problem
    assert "lies 201 levels deep: 200 can be loaded" in load_problem and len(load_problem) < 300


def test_cycles_and_shared_objects_are_met_once(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "cycle.h5", "w") as file:
        low = file.create_group("a/b/c")
        low["up"], low["root"], file["again"] = file["a"], file["/"], low
        low["data"] = 1
        found = [(item.path, item.kind) for item in objects(file)]
    assert found == [
        ("/", "group"),
        ("/a", "group"),
        ("/again", "group"),
        ("/a/b", "group"),
        ("/again/data", "dataset"),
    ]


@pytest.mark.timeout(120)
def test_chunks_that_nobody_wrote_are_not_counted_one_by_one(tmp_path: Path) -> None:
    """One byte in the last of 2³¹ chunks: HDF5 goes through all of them, for minutes, to say that there is one."""
    with h5py.File(tmp_path / "far.h5", "w", libver="latest") as file:
        for number in range(3):
            file.create_dataset(f"{number}", (1 << 31,), "u1", chunks=(1,), maxshape=(None,))[-1] = 1
    assert "(max_unwritten_size)" in looked(tmp_path / "far.h5").load_problem


def test_a_visit_of_a_small_chunk_counts_too(tmp_path: Path) -> None:
    """A request for each: 90,000 chunks of 4 bytes took hsdiff more than 400 s."""
    with h5py.File(tmp_path / "small.h5", "w") as file:
        file.create_dataset("some", (300, 300), "f4", chunks=(1, 1))
        assert not preflight(file).load_problem
        file.create_dataset("many", (1000, 1000), "f4", chunks=(1, 1))
        assert preflight(file).load_problem.startswith("dataset /many: ")
    with h5py.File(tmp_path / "written.h5", "w") as file:
        file.create_dataset("written", (300, 300), "u1", chunks=(1, 1))[...] = 1
        assert not preflight(file, limits=SizeLimits(unwritten=1)).load_problem, "what was written is no waste"


@pytest.mark.parametrize("source", ["unwritten", "missing"])
def test_what_a_virtual_dataset_maps_and_nobody_wrote_is_refused(tmp_path: Path, source: str) -> None:
    with h5py.File(tmp_path / "virtual.h5", "w") as file:
        file.create_dataset("unwritten", (1 << 32,), "f8")
        for number in range(3):
            layout = h5py.VirtualLayout((1 << 32,), "f8")
            layout[:] = h5py.VirtualSource(".", source, (1 << 32,))
            file.create_virtual_dataset(f"whole{number}", layout)
        assert "(max_unwritten_size)" in preflight(file).load_problem


def linked(file: h5py.File, count: int) -> None:
    for number in range(count):
        file.id.links.create_soft(b"%d" % number, b"/target")


def attributed(file: h5py.File, count: int) -> None:
    obj, space = h5py.h5g.open(file.id, b"/"), h5py.h5s.create(h5py.h5s.SCALAR)
    for number in range(count):
        h5py.h5a.create(obj, b"%d" % number, h5py.h5t.STD_I8LE, space)


@pytest.mark.parametrize("fill", [linked, attributed])
def test_an_object_with_too_many_links_or_attributes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fill: Callable[[h5py.File, int], None]
) -> None:
    """A million links in a group took 1 GB of a data node, which keeps them as one text."""
    monkeypatch.setattr(oversize, "MAX_MEMBERS", 300)
    with h5py.File(tmp_path / "many.h5", "w", libver="latest") as file:
        fill(file, 300)
        assert not preflight(file).load_problem
    with h5py.File(tmp_path / "more.h5", "w", libver="latest") as file:
        fill(file, 301)
        assert preflight(file).load_problem.startswith("/ has 301 links and attributes: HSDS keeps those of an object")


def test_a_chunk_that_grows_in_a_copy_has_the_same_limit(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "growing.h5", "w") as file:
        file.create_dataset("data", (10,), "f8", maxshape=(10_000_000,), chunks=(1,))
        assert not preflight(file).copy_problem
        assert preflight(file, limits=SizeLimits(chunk=1 << 20)).load_problem.startswith(
            "dataset /data may grow to (10000000,)"
        )


def test_what_a_copy_writes_is_counted(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("chunks", (300, 300), "f4", chunks=(1, 300))[:7] = 1
        file["plain"] = np.zeros(1 << 20)
        file.create_group("a/b/c")
        found = preflight(file)
    assert (found.chunks, found.levels) == (7 + 2, 1 + 1 + 1 + 2 + 3)
    assert found.requests(copied=True) == found.requests(copied=False) + 9
