"""Elements in a chunk are read by HSDS's own code, and types by its numpy types."""

from __future__ import annotations

import io
import json
from typing import Any

import h5py
import numpy as np
import pytest
from hsds.util.arrayUtil import bytesToArray
from hsds.util.hdf5dtype import createDataType

from bucket_loader.hdf5 import types, values
from bucket_loader.storage import datatypes, elements

TEXT = h5py.string_dtype()
MIXED = np.dtype([("name", TEXT), ("number", "i4"), ("list", h5py.vlen_dtype("f8"))])


def no_references(_: Any) -> str:
    return ""


def held(dtype: Any) -> types.Type:
    kind = h5py.h5t.py_create(np.dtype(dtype), logical=True)
    return datatypes.as_held(types.from_hdf5(kind), np.dtype(dtype))


FIXED = [
    np.arange(-5, 5, dtype=">i2"),
    np.array([0.5, np.nan, -0.0, np.inf], "<f4"),
    np.array([b"abc", b"", b"de\0f"], "S5"),
    np.array([(1, [2, 3], (4.5, b"x"))], [("a", "u1"), ("b", "<i4", (2,)), ("c", [("d", ">f8"), ("e", "S2")])]),
    np.array([1 + 2j, 3 - 4j], "c16"),
]


@pytest.mark.parametrize("data", FIXED, ids=lambda data: str(data.dtype)[:30])
def test_elements_of_one_size_are_read_by_hsds(data: np.ndarray[Any, Any]) -> None:
    form = held(data.dtype)
    raw = elements.to_bytes(data, form, no_references)
    read = bytesToArray(raw, createDataType(datatypes.to_json(form)), data.shape)
    assert read.tobytes() == data.tobytes()


def test_gaps_are_left_out() -> None:
    dtype = np.dtype({"names": ["a", "b"], "formats": ["u1", "<i4"], "offsets": [0, 4], "itemsize": 12})
    data = np.array([(1, 2), (3, 4)], dtype)
    assert elements.to_bytes(data, held(dtype), no_references) == bytes([1, 2, 0, 0, 0, 3, 4, 0, 0, 0])


def test_elements_that_vary_in_size_are_read_by_hsds() -> None:
    data = np.empty(3, MIXED)
    data[0] = ("ä", 1, np.array([1.5, 2.5]))
    data[1] = ("", 2, np.array([]))
    data[2] = ("longer than that", -3, np.arange(10.0))
    form = held(MIXED)
    read = bytesToArray(
        elements.to_bytes(data, form, no_references), createDataType(datatypes.to_json(form)), data.shape
    )
    for ours, theirs in zip(data, read, strict=True):
        # HSDS has 0 for what is empty
        assert (ours["name"], ours["number"]) == (theirs["name"] or "", theirs["number"])
        np.testing.assert_array_equal(ours["list"], np.atleast_1d(theirs["list"])[: len(ours["list"])])


def test_past_the_edge_nothing_takes_the_fewest_bytes() -> None:
    assert elements.nothing(held(MIXED)) == bytes(4 + 4 + 4)
    assert elements.nothing(held("f8")) == bytes(8)


@pytest.mark.parametrize("data", [*FIXED, np.array(["ä", "b", ""], object)], ids=lambda data: str(data.dtype)[:30])
def test_json_comes_back_as_the_same_values(data: np.ndarray[Any, Any]) -> None:
    dtype = TEXT if data.dtype == object else data.dtype
    form = held(dtype)
    item = json.loads(json.dumps(elements.to_json(data, form, data.shape, no_references)))
    pair = values.Pair(form, form, lambda *_: False)
    flat = data.reshape(-1)
    assert values.equal(pair, flat, values.from_json(item, form, data.shape)).all()


def test_opaque_values_are_base64() -> None:
    data = np.array([b"abc", b"d"], "V3")
    form = types.Opaque(size=3, tag="t")
    item = elements.to_json(data, form, data.shape, no_references)
    assert item["encoding"] == "base64"
    assert values.from_json(item, form, data.shape).tobytes() == data.tobytes()


def test_shapes_are_nested_lists() -> None:
    form = held("i4")
    data = np.arange(12, dtype="i4")
    assert elements.to_json(data, form, (3, 4), no_references)["value"] == data.reshape(3, 4).tolist()
    assert elements.to_json(data[:1], form, (), no_references)["value"] == 0


def test_an_element_beyond_hsds_limit_is_refused() -> None:
    with pytest.raises(elements.TooLarge, match=r"an element of 1,000,005 bytes, where HSDS takes 1,000,000"):
        elements.to_bytes(np.array(["x" * 1_000_001], object), held(TEXT), no_references)


def test_a_fill_value_of_zero_is_left_out() -> None:
    form = held("f8")
    assert elements.fill_value(np.zeros(1), form, no_references) == {}
    assert elements.fill_value(np.array([-0.0]), form, no_references) == {"fillValue": -0.0}
    assert elements.fill_value(np.array([np.nan]), form, no_references) == {"fillValue": "nan"}
    assert elements.fill_value(None, form, no_references) == {}


@pytest.mark.parametrize(
    ("dtype", "words"),
    [
        (np.dtype([("only", TEXT)]), "whose only member varies in size"),
        (h5py.vlen_dtype(np.dtype([("a", "i4")])), "sequences of compound"),
        (h5py.regionref_dtype, "region references"),
        (np.dtype([("ä", "i4")]), "ASCII names alone"),
        ("S1000001", "elements of 1,000,001 bytes"),
    ],
)
def test_what_hsds_cannot_hold_is_named(dtype: Any, words: str) -> None:
    assert words in datatypes.problem(held(dtype))


def test_some_versions_cannot_hand_out_what_others_can() -> None:
    form = held([("name", TEXT), ("numbers", "i4", (3,))])
    assert not datatypes.problem(form, True, ["0.9.4"])
    assert "which HSDS 1.0.2 cannot hand out" in datatypes.problem(form, True, ["0.9.4", "1.0.2"])
    assert not datatypes.problem(form, False, ["1.0.2"]), "an attribute is JSON"


def test_odd_numbers_are_held_as_h5py_reads_them() -> None:
    twelve = h5py.h5t.STD_I16LE.copy()
    twelve.set_precision(12)
    with h5py.File(io.BytesIO(), "w") as file:
        h5py.h5d.create(file.id, b"data", twelve, h5py.h5s.create_simple((3,)))
        form = types.from_hdf5(file["data"].id.get_type())
    assert datatypes.as_held(form, np.dtype("<i2")) == types.Integer(size=2, order="LE", signed=True)
    assert not datatypes.same_bytes(form, datatypes.as_held(form, np.dtype("<i2")))
