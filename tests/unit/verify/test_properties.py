"""Properties that hold for every type and shape: without a server for the parts, with one for small whole files."""

from __future__ import annotations

import json
import math

import h5py
import h5pyd
import numpy as np
import pytest
from h5pyd._hl.base import arrayToBytes
from h5pyd._hl.h5type import getTypeItem
from hsds.util.arrayUtil import arrayToBytes as hsds_bytes
from hsds.util.hdf5dtype import createDataType as hsds_dtype
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bucket_loader.hdf5 import file, types, values
from bucket_loader.hdf5.values import Pair
from bucket_loader.verify import mismatches

# 150 where the profile has the usual 100
EXAMPLES = settings().max_examples * 3 // 2
QUIET = settings(max_examples=EXAMPLES, derandomize=True, suppress_health_check=list(HealthCheck))
NUMBERS = ["i1", "<i2", ">i4", "<i8", "u1", ">u2", "<u4", ">u8", "<f2", ">f4", "<f8"]
leaves = st.sampled_from([*map(np.dtype, NUMBERS), np.dtype("S1"), np.dtype("S7"), np.dtype(bool), np.dtype("V3")])


def compounds(inner: st.SearchStrategy[np.dtype]) -> st.SearchStrategy[np.dtype]:
    members = st.lists(st.tuples(inner, st.sampled_from([(), (2,), (2, 3)])), min_size=2, max_size=4)
    return members.map(lambda found: np.dtype([(f"m{i}", kind, dims) for i, (kind, dims) in enumerate(found)]))


plain = st.one_of(leaves, compounds(leaves), compounds(st.one_of(leaves, compounds(leaves))))
shapes = st.lists(st.integers(1, 7), min_size=0, max_size=3).map(tuple)


def filled(kind: np.dtype, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Random bytes as elements; booleans stay booleans, and text stays ASCII, as hsload demands of it."""
    rng = np.random.default_rng(seed)
    out = np.frombuffer(rng.bytes(kind.itemsize * math.prod(shape)), kind).reshape(shape).copy()
    _tame(out, rng)
    return out


def _tame(array: np.ndarray, rng: np.random.Generator) -> None:
    if array.dtype.names:
        for name in array.dtype.names:
            _tame(array[name], rng)
    elif array.dtype.kind == "b":
        array[...] = rng.integers(0, 2, array.shape).astype(bool)
    elif array.dtype.kind == "S":
        array[...] = rng.choice([b"", b"a", b"bc d"], array.shape)


def pair_of(kind: np.dtype) -> Pair:
    ours = types.from_hdf5(h5py.h5t.py_create(kind, logical=True))
    theirs = types.from_json(json.loads(json.dumps(getTypeItem(kind))))
    assert all(found.note for found in mismatches.compare_types(ours, theirs)), (ours, theirs)
    return Pair(ours, theirs, lambda a, b: False)


@QUIET
@given(plain, st.integers(0, 20), st.integers(0, 2**32))
def test_what_is_written_is_equal_and_any_changed_byte_is_not(kind, count, seed):
    array = filled(kind, (count,), seed)
    pair = pair_of(kind)
    theirs = values.from_bytes(array.tobytes(), pair.domain, count)
    assert values.equal(pair, file.as_elements(array.view(f"V{kind.itemsize}"), pair.source), theirs).all()
    if not count:
        return
    index = seed % (kind.itemsize * count)
    raw = bytearray(array.tobytes())
    raw[index] ^= 0x41
    changed = np.frombuffer(bytes(raw), f"V{kind.itemsize}")
    same = values.equal(pair, file.as_elements(changed, pair.source), theirs)
    row = index // kind.itemsize
    assert same[:row].all() and same[row + 1 :].all()
    if not same[row]:
        values.locate(pair, file.as_elements(changed, pair.source)[row : row + 1], theirs[row : row + 1])
    else:  # only a NaN's bits may change unseen
        assert _any_nan(array[row : row + 1]), (kind, index)


def _any_nan(array: np.ndarray) -> bool:
    if array.dtype.names:
        return any(_any_nan(array[name]) for name in array.dtype.names)
    return array.dtype.kind == "f" and bool(np.isnan(array).any())


@QUIET
@given(plain, shapes, st.integers(0, 2**32))
def test_json_holds_what_the_bytes_hold(kind, shape, seed):
    array = filled(kind, shape, seed)
    pair = pair_of(kind)
    if _has(kind, "V"):
        return  # HSDS has no JSON for opaque bytes
    value = json.loads(json.dumps(array.tolist(), default=_jsonable))
    ours = file.as_elements(np.ascontiguousarray(array).view(f"V{kind.itemsize}"), pair.source)
    assert values.equal(pair, ours, values.from_json({"value": value}, pair.domain, shape)).all()


def _jsonable(value: object) -> object:
    return value.decode() if isinstance(value, bytes) else np.asarray(value).tolist()


def _has(kind: np.dtype, letter: str) -> bool:
    kind = kind.base
    return any(_has(kind[name], letter) for name in kind.names) if kind.names else kind.kind == letter


words = st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8), max_size=8)


@QUIET
@given(words)
def test_variable_text_survives_hsds_bytes(found):
    text = h5pyd.special_dtype(vlen=str)
    form = types.from_json(getTypeItem(text))
    array = np.array([*found, ""], dtype=text)[:-1]
    back = values.from_bytes(arrayToBytes(array), form, len(found))
    assert [item.decode() for item in back] == found


def test_arrays_of_text_end_with_surplus_zeros():
    text = {"class": "H5T_STRING", "length": "H5T_VARIABLE", "charSet": "H5T_CSET_ASCII", "strPad": "H5T_STR_NULLTERM"}
    items = [{"name": "i", "type": "H5T_STD_I32LE"}]
    items.append({"name": "t", "type": {"class": "H5T_ARRAY", "dims": [2], "base": text}})
    kind = {"class": "H5T_COMPOUND", "fields": items}
    array = np.zeros(3, hsds_dtype(kind))
    for row in array:
        row["t"][:] = b"ab", b""
    form = types.from_json(kind)
    back = values.from_bytes(hsds_bytes(array), form, 3)
    assert [list(row["t"]) for row in back] == [[b"ab", b""]] * 3
    with pytest.raises(values.Undecodable):
        values.from_bytes(hsds_bytes(array)[:-1], form, 3)


sizes = st.lists(st.integers(0, 40), min_size=1, max_size=4)


@pytest.mark.slow
@QUIET
@given(sizes, st.data(), st.integers(1, 500), st.integers(1, 50))
def test_blocks_cover_everything_once_within_the_limits(shape, data, elements, grains):
    grain = tuple(data.draw(st.integers(1, 45)) for _ in shape) if data.draw(st.booleans()) else None
    seen = np.zeros(shape, int)
    for block in file.blocks(tuple(shape), grain, elements, grains):
        extents = [part.stop - part.start for part in block]
        assert math.prod(extents) <= elements
        if grain:
            whole = math.prod(-(-extent // min(g, s)) for extent, g, s in zip(extents, grain, shape, strict=True))
            assert whole <= max(grains, 1)
        seen[block] += 1
    assert (seen == 1).all()


@pytest.mark.slow
@QUIET
@given(sizes, st.data(), st.integers(1, 500), st.integers(1, 50))
def test_samples_are_few_lie_apart_and_reach_the_ends(shape, data, elements, grains):
    grain = tuple(data.draw(st.integers(1, 45)) for _ in shape)
    found = list(file.samples(tuple(shape), grain, elements, grains))
    assert len(found) <= len(shape) + 3
    seen = np.zeros(shape, int)
    for sample in found:
        assert math.prod(part.stop - part.start for part in sample) <= elements
        assert all(0 <= part.start < part.stop <= extent for part, extent in zip(sample, shape, strict=True))
        seen[sample] += 1
    assert (seen <= 1).all()
    if seen.size:
        assert seen[(0,) * len(shape)] == 1
        last = tuple((extent - 1) // part * part for extent, part in zip(shape, grain, strict=True))
        assert seen[last] == 1, "the first element of the last chunk"
