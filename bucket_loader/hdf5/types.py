"""HDF5 types in one form, whichever side they come from: a file (`from_hdf5`) or HSDS's JSON (`from_json`).

Sizes and offsets are in bytes. `numpy` is how numpy sees one element as it is stored in the file, or as HSDS sends it;
what varies in size is an object.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import h5py
import numpy as np

REFERENCE_BYTES = 48  # HSDS keeps a reference as text: "datasets/" and an id of 38 characters
_POINTER_BYTES, _SEQUENCE_BYTES = 8, 16  # of variable text and of a sequence, in the memory of the HDF5 library
_ORDERS = {h5py.h5t.ORDER_LE: "LE", h5py.h5t.ORDER_BE: "BE"}
_PADDINGS = {h5py.h5t.STR_NULLTERM: "NULLTERM", h5py.h5t.STR_NULLPAD: "NULLPAD", h5py.h5t.STR_SPACEPAD: "SPACEPAD"}
# (exponent position, exponent size, mantissa position, mantissa size, bias) of the IEEE formats, by size in bytes
_IEEE = {2: (10, 5, 0, 10, 15), 4: (23, 8, 0, 23, 127), 8: (52, 11, 0, 52, 1023)}


class UnknownType(ValueError):
    """A type that is not understood, or that numpy cannot hold."""


@dataclass(frozen=True, kw_only=True)
class Type:
    """What every type can be asked; `str()` describes it on one line."""

    @property
    def parts(self) -> tuple[Type, ...]:
        """The types directly inside this one."""
        return ()

    @cached_property
    def is_variable(self) -> bool:
        """Whether elements differ in size."""
        return any(part.is_variable for part in self.parts)

    @cached_property
    def is_plain(self) -> bool:
        """Whether an element is a run of bytes that numpy can look at as stored: no pointers, no unusual numbers."""
        return all(part.is_plain for part in self.parts)

    @cached_property
    def has_reference(self) -> bool:
        return any(part.has_reference for part in self.parts)

    @cached_property
    def stored_size(self) -> int:
        """The bytes of one element in the memory of the HDF5 library."""
        raise UnknownType(f"{self} has no size")

    @cached_property
    def numpy(self) -> np.dtype[Any]:
        """Raises `UnknownType` for what numpy cannot hold."""
        raise UnknownType(f"{self} cannot be held by numpy")


@dataclass(frozen=True, kw_only=True)
class Sized(Type):
    """A type whose every element takes `size` bytes in the file."""

    size: int

    @cached_property
    def stored_size(self) -> int:
        return self.size


@dataclass(frozen=True, kw_only=True)
class Number(Sized):
    """`order` is LE, BE or ?; `detail` says what is unusual: a precision, a bit offset, a float that is not IEEE's."""

    order: str
    detail: str = ""

    @cached_property
    def is_plain(self) -> bool:
        return not self.detail and self.order != "?"

    @cached_property
    def numpy(self) -> np.dtype[Any]:
        return np.dtype(f"{'>' if self.order == 'BE' else '<'}{self._letter}{self.size}")

    @property
    def _letter(self) -> str:
        return "u"

    def __str__(self) -> str:
        detail = f" ({self.detail})" if self.detail else ""
        return f"{self._name} of {8 * self.size} bits {self.order}{detail}"

    @property
    def _name(self) -> str:
        return type(self).__name__.lower()


@dataclass(frozen=True, kw_only=True)
class Integer(Number):
    signed: bool

    @property
    def _letter(self) -> str:
        return "i" if self.signed else "u"

    @property
    def _name(self) -> str:
        return "integer" if self.signed else "unsigned integer"


@dataclass(frozen=True, kw_only=True)
class Bitfield(Number):
    """Bits that are no number."""


@dataclass(frozen=True, kw_only=True)
class Float(Number):
    @property
    def _letter(self) -> str:
        return "f"


@dataclass(frozen=True, kw_only=True)
class String(Type):
    """`length` in bytes, None where it varies; `charset` is ASCII or UTF8; `padding` NULLTERM, NULLPAD or SPACEPAD."""

    length: int | None
    charset: str
    padding: str

    @cached_property
    def is_variable(self) -> bool:
        return self.length is None

    @cached_property
    def is_plain(self) -> bool:
        return self.length is not None

    @cached_property
    def stored_size(self) -> int:
        return _POINTER_BYTES if self.length is None else self.length

    @cached_property
    def numpy(self) -> np.dtype[Any]:
        return np.dtype(object if self.length is None else f"S{self.length}")

    def __str__(self) -> str:
        return f"string of length {self.length or 'variable'} {self.charset} {self.padding}"


@dataclass(frozen=True, kw_only=True)
class Member:
    """A member of a compound, and how many bytes from the element's start it lies."""

    name: str
    offset: int
    type: Type


@dataclass(frozen=True, kw_only=True)
class Compound(Sized):
    members: tuple[Member, ...]

    @property
    def parts(self) -> tuple[Type, ...]:
        return tuple(member.type for member in self.members)

    @cached_property
    def is_packed(self) -> bool:
        """Whether its own members follow each other without gaps."""
        end = 0
        for member in self.members:
            if member.offset != end:
                return False
            end += member.type.stored_size
        return end == self.size

    @cached_property
    def numpy(self) -> np.dtype[Any]:
        layout: dict[str, Any] = {
            "names": [member.name for member in self.members],
            "formats": [member.type.numpy for member in self.members],
        }
        if not self.is_variable and not self.has_reference:  # a reference is longer in a domain than in a file
            layout |= {"offsets": [member.offset for member in self.members], "itemsize": self.size}
        return np.dtype(layout)  # type: ignore[call-overload, no-any-return]

    def __str__(self) -> str:
        return "compound {" + ", ".join(f"{member.name}: {member.type}" for member in self.members) + "}"


@dataclass(frozen=True, kw_only=True)
class Enum(Type):
    base: Integer
    members: Mapping[str, int]

    @property
    def parts(self) -> tuple[Type, ...]:
        return (self.base,)

    @cached_property
    def stored_size(self) -> int:
        return self.base.stored_size

    @cached_property
    def numpy(self) -> np.dtype[Any]:
        return self.base.numpy

    def __str__(self) -> str:
        return f"enum of {self.base} {dict(self.members)}"


@dataclass(frozen=True, kw_only=True)
class Array(Type):
    dims: tuple[int, ...]
    base: Type

    @property
    def parts(self) -> tuple[Type, ...]:
        return (self.base,)

    @property
    def count(self) -> int:
        """How many items one element has."""
        return math.prod(self.dims)

    @cached_property
    def stored_size(self) -> int:
        return self.count * self.base.stored_size

    @cached_property
    def numpy(self) -> np.dtype[Any]:
        return np.dtype((self.base.numpy, self.dims))

    def __str__(self) -> str:
        return f"array {list(self.dims)} of {self.base}"


@dataclass(frozen=True, kw_only=True)
class Sequence(Type):
    """HDF5's variable-length type of anything but text."""

    base: Type

    @property
    def parts(self) -> tuple[Type, ...]:
        return (self.base,)

    @cached_property
    def is_variable(self) -> bool:
        return True

    @cached_property
    def is_plain(self) -> bool:
        return False

    @cached_property
    def stored_size(self) -> int:
        return _SEQUENCE_BYTES

    @cached_property
    def numpy(self) -> np.dtype[Any]:
        return np.dtype(object)

    def __str__(self) -> str:
        return f"variable-length {self.base}"


@dataclass(frozen=True, kw_only=True)
class Opaque(Sized):
    tag: str

    @cached_property
    def numpy(self) -> np.dtype[Any]:
        return np.dtype(f"V{self.size}")

    def __str__(self) -> str:
        return f"opaque of {self.size} bytes, tag {self.tag!r}"


@dataclass(frozen=True, kw_only=True)
class Reference(Type):
    """`to` is object or region; `length` in bytes as HSDS keeps it."""

    to: str
    length: int = REFERENCE_BYTES

    @cached_property
    def is_plain(self) -> bool:
        return False

    @cached_property
    def has_reference(self) -> bool:
        return True

    @cached_property
    def stored_size(self) -> int:
        return 8 if self.to == "object" else 12

    @cached_property
    def numpy(self) -> np.dtype[Any]:
        return np.dtype(f"S{self.length}")

    def __str__(self) -> str:
        return f"{self.to} reference"


@dataclass(frozen=True, kw_only=True)
class OtherType(Sized):
    """A class of types that is newer than this module, by HDF5's number of it."""

    number: int

    @cached_property
    def is_plain(self) -> bool:
        return False

    def __str__(self) -> str:
        return f"class {self.number}"


def from_hdf5(tid: h5py.h5t.TypeID) -> Type:
    """The type of an object or attribute of a file."""
    kind, size = tid.get_class(), tid.get_size()
    if kind == h5py.h5t.INTEGER:
        signed = tid.get_sign() != h5py.h5t.SGN_NONE
        precision = tid.get_precision(), tid.get_offset()
        detail = "" if precision == (8 * size, 0) else "{} bits at bit {}".format(*precision)
        return Integer(size=size, order=_order(tid), signed=signed, detail=detail)
    if kind == h5py.h5t.BITFIELD:
        return Bitfield(size=size, order=_order(tid))
    if kind == h5py.h5t.FLOAT:
        fields = (*tid.get_fields()[1:], tid.get_ebias())
        return Float(size=size, order=_order(tid), detail="" if fields == _IEEE.get(size) else f"fields {fields}")
    if kind == h5py.h5t.STRING:
        charset = "UTF8" if tid.get_cset() == h5py.h5t.CSET_UTF8 else "ASCII"
        length = None if tid.is_variable_str() else size
        return String(length=length, charset=charset, padding=_PADDINGS[tid.get_strpad()])
    if kind == h5py.h5t.COMPOUND:
        return Compound(size=size, members=tuple(_members(tid)))
    if kind == getattr(h5py.h5t, "COMPLEX", None):
        # HDF5 2.0's own; of the same bytes as the compound that h5py made of complex numbers before
        part = from_hdf5(tid.get_super())
        both = (Member(name=name, offset=at * part.stored_size, type=part) for at, name in enumerate("ri"))
        return Compound(size=size, members=tuple(both))
    if kind == h5py.h5t.ENUM:
        return _enum(tid)
    if kind == h5py.h5t.ARRAY:
        return Array(dims=tuple(tid.get_array_dims()), base=from_hdf5(tid.get_super()))
    if kind == h5py.h5t.VLEN:
        return Sequence(base=from_hdf5(tid.get_super()))
    if kind == h5py.h5t.OPAQUE:
        return Opaque(size=size, tag=_text(tid.get_tag()))
    if kind == h5py.h5t.REFERENCE:
        return Reference(to="object" if tid.equal(h5py.h5t.STD_REF_OBJ) else "region")
    return OtherType(number=kind, size=size)


def _members(tid: h5py.h5t.TypeCompoundID) -> Iterator[Member]:
    for number in range(tid.get_nmembers()):
        name, offset = _text(tid.get_member_name(number)), tid.get_member_offset(number)
        yield Member(name=name, offset=offset, type=from_hdf5(tid.get_member_type(number)))


def _enum(tid: h5py.h5t.TypeEnumID) -> Enum:
    names = {_text(tid.get_member_name(i)): tid.get_member_value(i) for i in range(tid.get_nmembers())}
    base = from_hdf5(tid.get_super())
    if not isinstance(base, Integer):
        raise UnknownType(f"an enum of {base}")
    return Enum(base=base, members=names)


def _order(tid: h5py.h5t.TypeID) -> str:
    return _ORDERS.get(tid.get_order(), "?")


def _text(raw: bytes | str) -> str:
    return raw.decode("utf-8", "surrogateescape") if isinstance(raw, bytes) else raw


def from_json(item: Any) -> Type:
    """A type as HSDS tells it. Raises `UnknownType`."""
    try:
        return _from_json(item)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UnknownType(f"the domain's type {item!r} is not understood ({error!r})") from error


def _from_json(item: Any) -> Type:
    if isinstance(item, str):
        order = item[-2:] if item[-2:] in ("LE", "BE") else "LE"  # h5pyd writes the base of a sequence without one
        size = int(item.removesuffix(order).rsplit("_", 1)[1][1:]) // 8
        if item.startswith("H5T_IEEE_F"):
            return Float(size=size, order=order)
        return Integer(size=size, order=order, signed="_STD_I" in item)
    kind = item["class"]
    if kind in ("H5T_INTEGER", "H5T_FLOAT"):
        return _from_json(item["base"])
    if kind == "H5T_STRING":
        return String(
            length=None if item["length"] == "H5T_VARIABLE" else int(item["length"]),
            charset=item["charSet"].removeprefix("H5T_CSET_"),
            padding=item.get("strPad", "H5T_STR_NULLPAD").removeprefix("H5T_STR_"),
        )
    if kind == "H5T_COMPOUND":
        members, offset = [], 0
        for field in item["fields"]:
            inner = _from_json(field["type"])
            members.append(Member(name=field["name"], offset=offset, type=inner))
            offset += 0 if inner.is_variable else inner.numpy.itemsize
        return Compound(size=offset, members=tuple(members))
    if kind == "H5T_ENUM":
        base = _from_json(item["base"])
        if not isinstance(base, Integer):
            raise TypeError(f"an enum of {base}")
        return Enum(base=base, members=dict(item["mapping"]))
    if kind == "H5T_ARRAY":
        dims = (item["dims"],) if isinstance(item["dims"], int) else tuple(item["dims"])
        return Array(dims=dims, base=_from_json(item["base"]))
    if kind == "H5T_VLEN":
        return Sequence(base=_from_json(item["base"]))
    if kind == "H5T_OPAQUE":
        return Opaque(size=int(item["size"]), tag=item.get("tag", ""))
    if kind == "H5T_REFERENCE":
        to = "object" if item["base"] == "H5T_STD_REF_OBJ" else "region"
        return Reference(to=to, length=int(item.get("length", REFERENCE_BYTES)))
    raise KeyError(kind)
