"""Elements as HSDS keeps them: in the bytes of a chunk, and in the JSON of an attribute or a fill value.

Elements come flat, as `hdf5.file` reads them: shape (count,) and, for an array type, its dimensions. A reference
becomes the text that `refer` makes of it, empty for none.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..hdf5 import types
from ..hdf5.types import Type
from ..hdf5.values import Array, sequence_items, text
from ..hdf5.values import member as member_of
from .datatypes import MAX_ELEMENT_BYTES

Refer = Callable[[Any], str]


class TooLarge(ValueError):
    """An element has more bytes than HSDS takes."""


def to_bytes(elements: Array, held: Type, refer: Refer) -> bytes:
    """The bytes of a chunk. One that varies in size is its length, in 4 bytes, and its bytes. Raises TooLarge."""
    if not held.is_variable:
        return np.ascontiguousarray(_fixed(elements, held, refer)).tobytes()
    out = bytearray()
    for element in elements:
        start = len(out)
        _append(out, element, held, refer)
        if len(out) - start > MAX_ELEMENT_BYTES:
            raise TooLarge(f"an element of {len(out) - start:,} bytes, where HSDS takes {MAX_ELEMENT_BYTES:,}")
    return bytes(out)


def _fixed(elements: Array, held: Type, refer: Refer) -> Array:
    """Elements in the numpy type of a held form, which does not vary in size."""
    dtype = held.numpy
    match held:
        case types.Reference():
            return np.array([refer(element).encode() for element in elements], dtype)
        case types.Compound():
            out = np.zeros(elements.shape, dtype)
            for one in held.members:
                out[one.name] = _fixed(member_of(elements, one.name), one.type, refer)
            return out
        case types.Array():
            base, count = held.base, len(elements)
            flat = elements.reshape(count * held.count, *elements.shape[1 + len(held.dims) :])
            items = _fixed(flat, base, refer)
            return items.reshape(count, *held.dims, *items.shape[1:])
    base_type = dtype.subdtype[0] if dtype.subdtype else dtype
    return elements if elements.dtype == base_type else elements.astype(base_type)


def _append(out: bytearray, element: Any, held: Type, refer: Refer) -> None:
    match held:
        case types.Compound():
            for value, one in zip(_members(element, held), held.members, strict=True):
                _append(out, value, one.type, refer)
            return
        case types.Array() if held.is_variable:
            for item in np.asarray(element).reshape(held.count):
                _append(out, item, held.base, refer)
            return
        case types.Sequence():
            items = sequence_items(element)
            data = to_bytes(items, held.base, refer) if len(items) else b""
        case types.String(length=None):
            data = text(held, element)
        case _:
            single = np.empty((1, *(held.dims if isinstance(held, types.Array) else ())), _dtype_of(element))
            single[0] = element
            out += np.ascontiguousarray(_fixed(single, held, refer)).tobytes()
            return
    out += len(data).to_bytes(4, "little") + data


def _dtype_of(element: Any) -> np.dtype[Any]:
    return element.dtype if isinstance(element, (np.generic, np.ndarray)) else np.dtype(object)


def _members(element: Any, held: types.Compound) -> list[Any]:
    """The members of one compound; h5py makes a complex number of two floats named r and i."""
    if isinstance(element, (complex, np.complexfloating)):
        return [element.real, element.imag]
    return [element[index] for index in range(len(held.members))]


def to_json(elements: Array, held: Type, shape: Sequence[int], refer: Refer) -> dict[str, Any]:
    """The "value" of some elements, one at least, in a shape; with "encoding" where it is not JSON by itself.

    Raises TooLarge.
    """
    if _has_opaque(held):
        return {"value": base64.b64encode(to_bytes(elements, held, refer)).decode(), "encoding": "base64"}
    return {"value": _nested([_plain(element, held, refer) for element in elements], shape)}


def _has_opaque(form: Type) -> bool:
    return isinstance(form, types.Opaque) or any(map(_has_opaque, form.parts))


def _nested(items: list[Any], shape: Sequence[int]) -> Any:
    if not shape:
        return items[0]
    for extent in reversed(shape[1:]):
        items = [items[start : start + extent] for start in range(0, len(items), extent)]
    return items


def _plain(element: Any, held: Type, refer: Refer) -> Any:
    match held:
        case types.Compound():
            both = zip(_members(element, held), held.members, strict=True)
            return [_plain(value, one.type, refer) for value, one in both]
        case types.Array():
            items = np.asarray(element)
            flat = items.reshape(held.count, *items.shape[len(held.dims) :])
            return _nested([_plain(item, held.base, refer) for item in flat], held.dims)
        case types.Sequence():
            return [_plain(item, held.base, refer) for item in sequence_items(element)]
        case types.String():
            # of a fixed length: the padding is not a part of the text
            return text(held, element).decode("utf-8", "surrogateescape")
        case types.Reference():
            return refer(element)
        case types.Float():
            return float(element)
    return int(element)


def fill_value(element: Array | None, held: Type, refer: Refer) -> dict[str, Any]:
    """The creation properties that say what an element is that nobody wrote; none for zero, which it is anyway."""
    if element is None or held.is_variable or held.has_reference:
        return {}
    if not any(to_bytes(element, held, refer)):
        return {}
    item = to_json(element, held, (), refer)
    if "encoding" in item:
        return {"fillValue": item["value"], "fillValue_encoding": item["encoding"]}
    value = item["value"]
    return {"fillValue": "nan" if isinstance(value, float) and math.isnan(value) else value}


def nothing(held: Type) -> bytes:
    """The bytes of an element past the edge of its dataset."""
    match held:
        case types.Compound():
            return b"".join(nothing(one.type) for one in held.members)
        case types.Array() if held.is_variable:
            return nothing(held.base) * held.count
    return bytes(4 if held.is_variable else held.numpy.itemsize)
