"""HDF5 types as a domain has them, and as JSON; and what in a type no HSDS can hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import h5py
import numpy as np

from ..hdf5 import types
from ..hdf5.types import Type

MAX_ELEMENT_BYTES = 1_000_000  # HSDS's own limit
_IN_ARRAYS = (types.Number, types.String, types.Array)


def problem(form: Type, of_dataset: bool = False, readers: Sequence[str] = ()) -> str:
    """What in a type HSDS cannot hold or hand out; an empty text when it can. `form` is one of `as_held`.

    `readers` are the versions of HSDS that are to hand it out.
    """
    if of_dataset and isinstance(form, types.Array):
        return f"elements that are arrays ({form}), which HSDS answers without a byte"
    return (unread_by(form, readers) if of_dataset else "") or _problem(form) or _too_large(form)


def unread_by(form: Type, readers: Sequence[str]) -> str:
    """What in the type of a dataset one of these versions of HSDS cannot hand out; an empty text when all can.

    1.0 answers 500: it makes an array of each item of an array, for which it has no room.
    """
    version = next((one for one in readers if one.startswith("1.0.")), "")
    if version and isinstance(form, types.Compound) and form.is_variable and any(map(_is_fixed_array, form.parts)):
        return f"compounds of variable size with an array in them ({form}), which HSDS {version} cannot hand out"
    return ""


def _is_fixed_array(form: Type) -> bool:
    return isinstance(form, types.Array) and not form.is_variable


def _problem(form: Type) -> str:
    match form:
        case types.OtherType():
            return f"the type {form}, which HSDS does not know"
        case types.Reference(to="region"):
            return "region references, which HSDS cannot hold"
        case types.Number() if form.size not in (1, 2, 4, 8):
            return f"numbers of {form.size} bytes ({form}), which HSDS does not have"
        case types.Array() if not isinstance(form.base, _IN_ARRAYS):
            return f"arrays of {form.base}, which HSDS cannot hold"
        case types.Sequence() if form.base.is_variable:
            return "sequences of items of variable length, which HSDS cannot take"
        case types.Sequence() if isinstance(form.base, types.Compound):
            return f"sequences of {form.base}, which HSDS cannot hold"
        case types.Compound():
            if len(form.members) == 1 and form.is_variable:
                return f"a compound whose only member varies in size ({form}), which HSDS takes for that member"
            if odd := next((member.name for member in form.members if not member.name.isascii()), None):
                return f"a compound with the member {odd!r}: HSDS takes ASCII names alone"
    return next(filter(None, map(_problem, form.parts)), "")


def _too_large(form: Type) -> str:
    if form.is_variable or form.numpy.itemsize <= MAX_ELEMENT_BYTES:
        return ""
    return f"elements of {form.numpy.itemsize:,} bytes, where HSDS takes {MAX_ELEMENT_BYTES:,}"


def as_held(form: Type, dtype: np.dtype[Any] | None) -> Type:
    """A type of a file as a domain holds it: without gaps, bit fields and odd precisions, which JSON has no words for.

    `dtype` is h5py's of it, None where it has none: a number of an odd format is held as h5py reads it.
    """
    match form:
        case types.Bitfield():
            return types.Integer(size=form.size, order=form.order, signed=False)
        case types.Number() if form.detail or form.order == "?":
            size = form.size if dtype is None or dtype.kind not in "iuf" else dtype.itemsize
            return replace(form, size=size, detail="", order=_order(dtype))
        case types.Enum():
            base = as_held(form.base, dtype)
            return replace(form, base=base) if isinstance(base, types.Integer) else form
        case types.Compound():
            return _packed(form, dtype)
        case types.Array():
            inner = dtype.subdtype[0] if dtype is not None and dtype.subdtype else None
            return replace(form, base=as_held(form.base, inner))
        case types.Sequence():
            inner = h5py.check_vlen_dtype(dtype) if dtype is not None else None
            return replace(form, base=as_held(form.base, inner))
    return form


def _packed(form: types.Compound, dtype: np.dtype[Any] | None) -> types.Compound:
    members, offset = [], 0
    for member in form.members:
        inner = dtype.fields[member.name][0] if dtype is not None and dtype.fields else None
        held = as_held(member.type, inner)
        members.append(types.Member(name=member.name, offset=offset, type=held))
        offset += 0 if held.is_variable else held.numpy.itemsize
    return types.Compound(size=offset, members=tuple(members))


def _order(dtype: np.dtype[Any] | None) -> str:
    return "BE" if dtype is not None and dtype.byteorder == ">" else "LE"


def same_bytes(form: Type, held: Type) -> bool:
    """Whether an element lies in a file as in a domain's chunk."""
    return form.is_plain and not form.has_reference and not _differs(form, held)


def _differs(form: Type, held: Type) -> bool:
    if isinstance(form, types.Compound) and not form.is_packed:
        return True
    if isinstance(form, types.Sized) and isinstance(held, types.Sized) and form.size != held.size:
        return True
    return any(map(_differs, form.parts, held.parts))


def to_json(held: Type) -> dict[str, Any]:
    """A type as HSDS's JSON has it."""
    match held:
        case types.Integer():
            base = f"H5T_STD_{'I' if held.signed else 'U'}{8 * held.size}{held.order}"
            return {"class": "H5T_INTEGER", "base": base}
        case types.Float():
            return {"class": "H5T_FLOAT", "base": f"H5T_IEEE_F{8 * held.size}{held.order}"}
        case types.String():
            return {
                "class": "H5T_STRING",
                "charSet": f"H5T_CSET_{held.charset}",
                "strPad": f"H5T_STR_{held.padding}",
                "length": "H5T_VARIABLE" if held.length is None else held.length,
            }
        case types.Compound():
            fields = [{"name": member.name, "type": to_json(member.type)} for member in held.members]
            return {"class": "H5T_COMPOUND", "fields": fields}
        case types.Enum():
            return {"class": "H5T_ENUM", "base": to_json(held.base), "mapping": dict(held.members)}
        case types.Array():
            return {"class": "H5T_ARRAY", "dims": list(held.dims), "base": to_json(held.base)}
        case types.Sequence():
            return {"class": "H5T_VLEN", "size": "H5T_VARIABLE", "base": to_json(held.base)}
        case types.Opaque():
            return {"class": "H5T_OPAQUE", "size": held.size, "tag": held.tag}
        case types.Reference():
            return {
                "class": "H5T_REFERENCE",
                "base": "H5T_STD_REF_OBJ",
                "charSet": "H5T_CSET_ASCII",
                "length": held.length,
                "strPad": "H5T_STR_NULLPAD",
            }
    raise types.UnknownType(f"{held} has no JSON")
