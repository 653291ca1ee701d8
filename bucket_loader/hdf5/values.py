"""Values: from HSDS's bytes and JSON to numpy, and the comparison of two arrays element by element."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import types
from .types import Type

Array = np.ndarray[Any, Any]
# decides whether a reference of the source and one of the domain point at the same thing
SameTarget = Callable[[Any, str], bool]


class Undecodable(ValueError):
    """The domain's bytes or JSON do not fit its own type and shape."""


def from_bytes(data: bytes, form: Type, count: int) -> Array:
    """`count` elements from the answer to GET value; shape (count,) and, for an array type, its dimensions.

    What varies in size comes as objects: bytes for a string, an array for a sequence. Raises `Undecodable`.
    """
    if not form.is_variable:
        dtype = form.numpy
        if len(data) != dtype.itemsize * count:
            raise Undecodable(f"{len(data)} bytes where {count} elements of {dtype.itemsize} bytes were asked for")
        return np.frombuffer(data, dtype, count)
    out, end = _empty(form, count), 0
    for index in range(count):
        out[index], end = _parse(data, end, form)
    # HSDS 0.9.4 counts 4 bytes too many for each array of variable text and leaves them, zero, at the end
    surplus = 4 * count * _variable_arrays(form)
    if data[end:] not in (b"", bytes(surplus)):
        raise Undecodable(f"{len(data)} bytes where {count} elements take {end}")
    return out


def _variable_arrays(form: Type) -> int:
    own = isinstance(form, types.Array) and form.is_variable
    return int(own) + sum(map(_variable_arrays, form.parts))


def _empty(form: Type, count: int) -> Array:
    return np.empty(count, form.numpy)


def _parse(data: bytes, start: int, form: Type) -> tuple[Any, int]:
    if not form.is_variable:
        dtype = form.numpy
        end = start + dtype.itemsize
        if end > len(data):
            raise Undecodable(f"the bytes end within an element ({len(data)} of {end})")
        return np.frombuffer(data, dtype, 1, start)[0], end
    if isinstance(form, types.Compound):
        members = []
        for part in form.parts:
            value, start = _parse(data, start, part)
            members.append(value)
        return tuple(members), start
    if isinstance(form, types.Array):
        items = np.empty(form.count, object)
        for index in range(len(items)):
            items[index], start = _parse(data, start, form.base)
        return items.reshape(form.dims), start
    # a string or a sequence: the number of bytes, then the bytes
    size = int.from_bytes(data[start : start + 4], "little")
    start, end = start + 4, start + 4 + size
    if end > len(data):
        raise Undecodable(f"an element of {size} bytes reaches past the end of the answer")
    if not isinstance(form, types.Sequence):
        return data[start:end], end
    if form.base.is_variable:
        raise Undecodable("a sequence of elements that vary in size")
    dtype = form.base.numpy
    if size % dtype.itemsize:
        raise Undecodable(f"a sequence of {size} bytes whose elements have {dtype.itemsize}")
    return np.frombuffer(data, dtype, size // dtype.itemsize, start), end


def from_json(item: dict[str, Any], form: Type, shape: tuple[int, ...]) -> Array:
    """An attribute's (or fill) value: `item` has "value" and perhaps "encoding"; elements as in `from_bytes`."""
    count = int(np.prod(shape))
    value = item.get("value")
    if value is None:
        return zeros(form, count)
    try:
        if item.get("encoding") == "base64":
            return from_bytes(base64.b64decode(value), form, count)
        elements = _flatten(value, len(shape))
        if len(elements) != count:
            raise Undecodable(f"{len(elements)} values where the shape {shape} has {count}")
        out = np.empty(count, _json_dtype(form))
        for index, element in enumerate(elements):
            out[index] = _from_element(element, form)
        return out
    except (TypeError, ValueError, OverflowError, binascii.Error) as error:
        raise Undecodable(f"the JSON value does not fit its type: {error}") from error


def _flatten(value: Any, rank: int) -> list[Any]:
    if rank == 0:
        return [value]
    return [leaf for part in value for leaf in _flatten(part, rank - 1)]


def _json_dtype(form: Type) -> np.dtype[Any]:
    """Like the type's own, with objects for all text: JSON text has a length of its own."""
    if isinstance(form, types.String | types.Reference | types.Sequence):
        return np.dtype(object)
    if isinstance(form, types.Array):
        return np.dtype((_json_dtype(form.base), form.dims))
    if isinstance(form, types.Compound):
        return np.dtype([(member.name, _json_dtype(member.type)) for member in form.members])
    return form.numpy


def _from_element(value: Any, form: Type) -> Any:
    match form:
        case types.String() | types.Reference():
            return _bytes(value)
        case types.Opaque():
            return np.frombuffer(_bytes(value).ljust(form.size, b"\0"), form.numpy)[0]
        case types.Compound():
            if len(value) != len(form.members):
                raise Undecodable(f"{len(value)} members where the type has {len(form.members)}")
            return tuple(_from_element(item, part) for item, part in zip(value, form.parts, strict=True))
        case types.Array() | types.Sequence():
            leaves = _flatten(value, len(form.dims) if isinstance(form, types.Array) else 1)
            items = np.empty(len(leaves), _json_dtype(form.base))
            for index, leaf in enumerate(leaves):
                items[index] = _from_element(leaf, form.base)
            return items.reshape(form.dims + items.shape[1:]) if isinstance(form, types.Array) else items
    return value


def _bytes(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    if isinstance(value, bytes):
        return value
    if not value:
        return b""  # HSDS writes 0 for an element that was never set
    raise Undecodable(f"{value!r} is no text")


def zeros(form: Type, count: int) -> Array:
    """What an element is that nobody wrote: zero bytes, empty text, an empty sequence, a null reference."""
    if not form.is_variable:
        return np.zeros(count, form.numpy)
    out = _empty(form, count)
    for index in range(count):
        out[index] = _zero(form)
    return out


def _zero(form: Type) -> Any:
    if not form.is_variable:
        return np.zeros(1, form.numpy)[0]
    match form:
        case types.Sequence():
            return np.empty(0, _json_dtype(form.base))
        case types.Compound():
            return tuple(map(_zero, form.parts))
        case types.Array():
            items = np.empty(form.count, object)
            for index in range(len(items)):
                items[index] = _zero(form.base)
            return items.reshape(form.dims)
    return b""


@dataclass(frozen=True)
class Pair:
    """The types of both sides, which match except for what is a note, and the rule for references."""

    source: Type
    domain: Type
    same_target: SameTarget

    def inner(self, source: Type, domain: Type) -> Pair:
        return Pair(source, domain, self.same_target)

    def base(self) -> Pair:
        """Of arrays, sequences and enums."""
        return self.inner(self.source.parts[0], self.domain.parts[0])

    def members(self) -> list[tuple[str, Pair]]:
        """Of compounds, with their names."""
        assert isinstance(self.source, types.Compound)
        both = zip(self.source.members, self.domain.parts, strict=True)
        return [(mine.name, self.inner(mine.type, other)) for mine, other in both]


def equal(pair: Pair, ours: Array, theirs: Array) -> Array:
    """Which of the elements are the same: a boolean per element. NaN is NaN, whatever its bits; -0.0 is not 0.0."""
    form, count = pair.source, len(ours)
    match form:
        case types.Compound():
            same = np.ones(count, bool)
            for name, inner in pair.members():
                same &= equal(inner, member(ours, name), member(theirs, name))
            return same
        case types.Array():
            flat = equal(pair.base(), _stretch(ours, form), _stretch(theirs, form))
            return np.asarray(flat.reshape(count, -1).all(axis=1)) if count else flat[:0]
        case types.Sequence():
            base, both = pair.base(), zip(ours, theirs, strict=True)
            return np.fromiter((_same_sequence(base, a, b) for a, b in both), bool, count)
        case types.Reference():
            ids = [item.rstrip(b"\0").decode("ascii", "replace") for item in theirs]
            return np.fromiter((pair.same_target(a, b) for a, b in zip(ours, ids, strict=True)), bool, count)
        case types.String():
            return _same_text(form, ours, theirs)
    return _same_bits(isinstance(form, types.Float), ours, theirs)


def member(values: Array, name: str) -> Array:
    """A compound's member; h5py makes a compound of two floats named r and i into a complex number."""
    if values.dtype.kind == "c":
        return np.asarray(values.real if name == "r" else values.imag)
    return np.asarray(values[name])


def _stretch(values: Array, form: types.Array) -> Array:
    """All items of arrays as one run: shape (n, *dims, …) becomes (n * count, …)."""
    return np.asarray(values.reshape(len(values) * form.count, *values.shape[1 + len(form.dims) :]))


def sequence_items(sequence: Any) -> Array:
    """The items of a sequence of the source; h5py has no array for one that was never written."""
    items = np.asarray(sequence)
    return items if items.ndim else items.reshape(-1)[:0]


def _same_sequence(base: Pair, ours: Any, theirs: Any) -> bool:
    ours, theirs = sequence_items(ours), np.asarray(theirs)
    return len(ours) == len(theirs) and bool(equal(base, ours, theirs).all())


def _same_text(form: types.String, ours: Array, theirs: Array) -> Array:
    if ours.dtype.kind == "S" and theirs.dtype.kind == "S" and form.padding == "NULLPAD":
        return np.asarray(ours == theirs)
    both = zip(ours.tolist(), theirs.tolist(), strict=True)
    return np.fromiter((text(form, a) == text(form, b) for a, b in both), bool, len(ours))


def text(form: types.String, value: Any) -> bytes:
    """A string without its padding, by the rule of the file: a domain holds the padding as it stood in the chunk."""
    raw = _bytes(value)
    if form.length is None:
        return raw
    if form.padding == "NULLTERM":
        return raw.split(b"\0", 1)[0]
    raw = raw.rstrip(b"\0")
    return raw.rstrip(b" ") if form.padding == "SPACEPAD" else raw


def _same_bits(floats: bool, ours: Array, theirs: Array) -> Array:
    a, b = _little(ours), _little(theirs)
    if a.dtype.itemsize != b.dtype.itemsize:
        return np.zeros(len(ours), bool)
    size = a.dtype.itemsize
    if size in (1, 2, 4, 8):
        same = a.view(f"<u{size}") == b.view(f"<u{size}")
    else:
        same = (a.view("u1").reshape(-1, size) == b.view("u1").reshape(-1, size)).all(axis=1)
    if floats:
        same |= np.isnan(a) & np.isnan(b)
    return np.asarray(same)


def _little(values: Array) -> Array:
    if values.dtype.byteorder == ">":
        values = values.astype(values.dtype.newbyteorder("<"))
    return np.ascontiguousarray(values)


def locate(pair: Pair, ours: Array, theirs: Array) -> tuple[str, Pair, Any, Any]:
    """Where inside one element (arrays of length 1) the two differ, down to a member or an item."""
    form = pair.source
    if isinstance(form, types.Compound):
        for name, inner in pair.members():
            a, b = member(ours, name), member(theirs, name)
            if not equal(inner, a, b).all():
                where, leaf, x, y = locate(inner, a, b)
                return f".{name}{where}", leaf, x, y
    if isinstance(form, types.Array | types.Sequence):
        if isinstance(form, types.Array):
            a, b = (_stretch(side, form) for side in (ours, theirs))
        else:
            a, b = sequence_items(ours[0]), np.asarray(theirs[0])
        if len(a) != len(b):
            return "", pair, f"{len(a)} items", f"{len(b)} items"
        wrong = int(np.argmin(equal(pair.base(), a, b)))
        where, leaf, x, y = locate(pair.base(), a[wrong : wrong + 1], b[wrong : wrong + 1])
        return f"[{wrong}]{where}", leaf, x, y
    return "", pair, ours[0], theirs[0]
