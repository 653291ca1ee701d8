"""The types of an attribute, a dataset or a named type on both sides: in what they differ, and whose types they are."""

from __future__ import annotations

from typing import Any

import h5py

from ..hdf5.file import key_of
from ..hdf5.types import Type, compare_types
from .report import Recorder
from .sides import Sides


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
    told = [f"named type {p.path}" if p else "a type of its own" for p in (ours, theirs)]
    if key and not ours:
        told[0] = "a named type without a path"
    if key and not identity:
        sides.record.note(path, "named type", told[0], told[1])
    elif bool(key) != bool(identity) or ours is not theirs:
        sides.record.differ(path, "named type", told[0], told[1])
