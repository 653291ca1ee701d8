"""Files with very many, very deep or very long-named objects: what a comparison holds and opens of them."""

from __future__ import annotations

import tracemalloc

import h5py
import numpy as np
import pytest

from bucket_loader.hdf5.file import Dataset, attribute_names, blocks, decode, links, objects
from bucket_loader.hsds import Hsds
from bucket_loader.load.diagnose import first_reason
from bucket_loader.verify import Domain, verify
from bucket_loader.verify.compare import pair_up

pytestmark = pytest.mark.slow


class Mirror(Domain):
    """A domain of groups that has what a file has, as HSDS would tell it; no real one takes such names by hsload."""

    def __init__(self, file: h5py.File) -> None:
        super().__init__(Hsds("http://nowhere"), "/mirror")
        self._file = file
        self._found = {self._identity(item.id): item.place for item in objects(file)}

    def _identity(self, obj) -> str:
        return f"g-{h5py.h5o.get_info(obj).addr}"

    def _at_once(self, batch, paths, part):
        return {}

    def root(self) -> str:
        return self._identity(h5py.h5g.open(self._file.id, b"/"))

    def describe(self, identity: str) -> dict[str, object]:
        return {"attributeCount": h5py.h5a.get_num_attrs(self._found[identity].open(self._file))}

    def links(self, identity: str):
        group = self._found[identity].open(self._file)
        for name in links(group):
            child = h5py.h5o.open(group, name.encode())
            yield {"title": name, "class": "H5L_TYPE_HARD", "id": self._identity(child)}

    def attributes(self, identity: str):
        for name in map(decode, attribute_names(self._found[identity].open(self._file))):
            number = {"class": "H5T_INTEGER", "base": "H5T_STD_I32LE"}
            yield {"name": name, "type": number, "shape": {"class": "H5S_SCALAR"}, "value": 0}


@pytest.mark.long
def test_long_names_take_no_memory_for_each_object_below_them(tmp_path):
    """5,000 groups below a name of 60 kB: their paths would be 300 MB."""
    with h5py.File(tmp_path / "names.h5", "w", libver="latest") as file:
        low = h5py.h5g.create(file.id, b"n" * 60_000)
        for number in range(5_000):
            h5py.h5g.create(low, b"%d" % number)
        domain = Mirror(file)
        tracemalloc.start()
        try:
            pairs = pair_up(file, domain)
            told = first_reason(file)
            held = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert len(pairs.by_key) == 5_002 and told == ""
    assert held < 100 << 20


@pytest.mark.timeout(120)
def test_deep_groups_are_compared(tmp_path):
    with h5py.File(tmp_path / "deep.h5", "w", libver="latest") as file:
        group = h5py.h5g.create(file.id, b"g")
        for _ in range(5_000):
            group = h5py.h5g.create(group, b"g")
        report = verify(file, Mirror(file))
    assert report.same and report.objects == 5_002


@pytest.mark.timeout(120)
def test_many_attributes_are_compared(tmp_path):
    with h5py.File(tmp_path / "many.h5", "w", libver="latest") as file:
        obj, space = h5py.h5g.open(file.id, b"/"), h5py.h5s.create(h5py.h5s.SCALAR)
        for number in range(20_000):
            h5py.h5a.create(obj, b"a%d" % number, h5py.h5t.STD_I32LE, space).write(np.zeros((), "i4"))
        report = verify(file, Mirror(file))
    assert report.same and report.attributes == 20_000


def test_a_chunk_larger_than_a_block_is_decoded_once(tmp_path):
    """Its dataset has a cache that holds it: HDF5 takes that of whoever opened the dataset first."""
    with h5py.File(tmp_path / "large.h5", "w") as file:
        file.create_dataset("data", (20 << 20,), "u1", chunks=(20 << 20,), compression="gzip")[5] = 1
    with h5py.File(tmp_path / "large.h5") as file:
        place = next(item.place for item in objects(file) if item.kind == "dataset")
        assert Dataset(file, place).id.get_access_plist().get_chunk_cache()[1] >= 20 << 20


def test_selections_of_a_huge_shape_are_made_one_by_one():
    tracemalloc.start()
    try:
        assert next(blocks((1 << 44,), None, 1 << 20, 512)) == (slice(0, 1 << 20),)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    assert list(blocks((2, 3), None, 2, 512)) == [
        (slice(row, row + 1), slice(first, last)) for row in range(2) for first, last in ((0, 2), (2, 3))
    ]
