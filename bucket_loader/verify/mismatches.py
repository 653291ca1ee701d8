"""The types of an attribute, a dataset or a named type on both sides: in what they differ, and whose types they are.

What h5pyd 0.24 with HSDS 0.9 was seen to lose in every copy, without losing a value, is a note and not a difference
(`Mismatch.note`). It is one only where the domain holds what h5pyd writes by default: a domain that says something
else was changed by somebody, and is different.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import h5py

from ..hdf5 import types
from ..hdf5.file import key_of
from ..hdf5.types import Type
from .pairs import Sides
from .report import Recorder


@dataclass(frozen=True)
class Mismatch:
    """One property in which two types differ; `note` when it is one of the losses that cost no value."""

    what: str
    source: object
    domain: object
    note: bool = False


def compare_types(source: Type, domain: Type, *, scalar_attribute: bool = False, where: str = "type") -> list[Mismatch]:
    """All mismatches of two types.

    `scalar_attribute`: h5pyd turns the value of a scalar attribute into a numpy scalar, which has the machine's byte
    order and, for a fixed string, the length of the text.
    """
    loose, other = scalar_attribute, [Mismatch(where, str(source), str(domain))]
    match source, domain:
        case types.Bitfield(), types.Integer(signed=False):
            # HSDS has no bit fields: h5py hands the bits over as an unsigned number
            found = [Mismatch(f"{where} class", str(source), str(domain), note=True)]
            return found + _number(source, domain, loose, where)
        case types.Integer(), types.Integer():
            return other if source.signed != domain.signed else _number(source, domain, loose, where)
        case types.Float(), types.Float():
            return _number(source, domain, loose, where)
        case types.Bitfield(), types.Bitfield():
            return _number(source, domain, loose, where)
        case types.String(), types.String():
            return _string(source, domain, loose, where)
        case types.Opaque(), types.Opaque():
            return _opaque(source, domain, where)
        case types.Reference(), types.Reference():
            return [] if source.to == domain.to else other
        case types.Enum(), types.Enum():
            found = compare_types(source.base, domain.base, scalar_attribute=loose, where=f"{where} base")
            if source.members != domain.members:
                found.append(Mismatch(f"{where} members", source.members, domain.members))
            return found
        case types.Array(), types.Array():
            if source.dims != domain.dims:
                return [Mismatch(f"{where} dimensions", list(source.dims), list(domain.dims))]
            return compare_types(source.base, domain.base, where=f"{where} base")
        case types.Sequence(), types.Sequence():
            return compare_types(source.base, domain.base, where=f"{where} base")
        case types.Compound(), types.Compound():
            return _compound(source, domain, where)
    return other


def _number(source: types.Number, domain: types.Number, loose: bool, where: str) -> list[Mismatch]:
    if source.size != domain.size:
        # a float that is not of IEEE's kinds becomes the next larger one that is
        widened = isinstance(source, types.Float) and bool(source.detail) and domain.size > source.size
        return [Mismatch(where, str(source), str(domain), note=widened and domain.order == "LE")]
    found = []
    if source.detail != domain.detail:
        # JSON types know no precision and no bit offset
        found.append(Mismatch(f"{where} precision", source.detail or "all bits", "all bits", note=True))
    if source.order != domain.order and source.size > 1:
        note = loose and domain.order == "LE"
        found.append(Mismatch(f"{where} byte order", source.order, domain.order, note))
    return found


def _string(source: types.String, domain: types.String, loose: bool, where: str) -> list[Mismatch]:
    found = []
    if source.length != domain.length:
        fixed = source.length is not None and domain.length is not None
        narrowed = loose and fixed and domain.stored_size < source.stored_size
        ours, theirs = ("variable" if side.length is None else side.length for side in (source, domain))
        found.append(Mismatch(f"{where} length", ours, theirs, note=narrowed))
    if source.charset != domain.charset:
        # h5pyd writes every fixed string as ASCII, and the text of a scalar attribute as UTF-8
        variable = source.length is None
        lost = (domain.charset == "ASCII" and not variable) or (domain.charset == "UTF8" and variable and loose)
        found.append(Mismatch(f"{where} character set", source.charset, domain.charset, note=lost))
    if source.padding != domain.padding:
        default = "NULLTERM" if domain.length is None else "NULLPAD"
        found.append(Mismatch(f"{where} padding", source.padding, domain.padding, note=domain.padding == default))
    return found


def _opaque(source: types.Opaque, domain: types.Opaque, where: str) -> list[Mismatch]:
    if source.size != domain.size:
        return [Mismatch(f"{where} size", source.size, domain.size)]
    if source.tag != domain.tag:
        return [Mismatch(f"{where} tag", source.tag, domain.tag, note=domain.tag == "")]
    return []


def _compound(source: types.Compound, domain: types.Compound, where: str) -> list[Mismatch]:
    ours, theirs = ([member.name for member in side.members] for side in (source, domain))
    if ours != theirs:
        return [Mismatch(f"{where} members", ours, theirs)]
    found = []
    for mine, other in zip(source.members, domain.members, strict=True):
        found += compare_types(mine.type, other.type, where=f"{where} member {mine.name}")
    if not source.is_packed:
        layout = f"{source.size} bytes, offsets {[member.offset for member in source.members]}"
        found.append(Mismatch(f"{where} layout", layout, "packed", note=True))
    return found


def record_mismatches(record: Recorder, path: str, ours: Type, theirs: Type, scalar_attribute: bool = False) -> bool:
    """Record how two types differ; whether their values can be compared."""
    found = compare_types(ours, theirs, scalar_attribute=scalar_attribute)
    for item in found:
        source, domain = (x if isinstance(x, str) else repr(x) for x in (item.source, item.domain))
        (record.note if item.note else record.differ)(path, item.what, source, domain)
    return all(item.note for item in found)


def compare_named_types(sides: Sides, path: str, tid: h5py.h5t.TypeID, item: Any) -> None:
    """Compare which named type, if any, an object's type is. hsload writes a private copy of the type instead.

    `item` is the type as HSDS tells it.
    """
    key = key_of(tid)[0] if tid.committed() else None
    identity = item.get("id") if isinstance(item, dict) else None
    ours, theirs = (
        sides.objects.by_key.get(key) if key else None,
        sides.objects.by_identity.get(identity) if identity else None,
    )
    words = [f"named type {p.path}" if p else "a type of its own" for p in (ours, theirs)]
    if key and not ours:
        words[0] = "a named type without a path"
    if key and not identity:
        sides.record.note(path, "named type", words[0], words[1])
    elif bool(key) != bool(identity) or ours is not theirs:
        sides.record.differ(path, "named type", words[0], words[1])
