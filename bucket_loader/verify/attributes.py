"""The attributes of one object: which there are, and each one's shape, type and value."""

from __future__ import annotations

import math
from typing import Any

import h5py
import numpy as np

from ..causes import cause_of
from ..hdf5 import types, values
from ..hdf5.domain import DomainReadError, shape_from_json
from ..hdf5.file import attribute_names, attribute_values, decode, encode, shape_of
from ..hdf5.values import Pair, Undecodable
from .elements import compare_elements
from .mismatches import compare_named_types, record_mismatches
from .pairs import Partners, Sides
from .report import words_of_shape


def compare_attributes(sides: Sides, partners: Partners, empty: bool) -> None:
    """Compare all attributes of an object; `empty`: the domain's object is known to have none."""
    record = sides.record
    obj = partners.place.open(sides.source)
    ours = set(map(decode, attribute_names(obj)))
    seen = set()
    try:
        for item in () if empty else sides.domain.attributes(partners.identity):
            name = item["name"]
            seen.add(name)
            path = f"{partners.path}@{name}"
            if name not in ours:
                record.differ(path, "attribute", "missing", "present")
                continue
            record.report.attributes += 1
            _compare_attribute(sides, path, h5py.h5a.open(obj, encode(name)), item)
    except DomainReadError as error:
        count = f"{len(ours)} attribute(s)"
        record.differ(partners.path, "attributes", count, f"unreadable: {error}", cause=error.cause)
        return
    for name in sorted(ours - seen):
        record.differ(f"{partners.path}@{name}", "attribute", "present", "missing")


def _compare_attribute(sides: Sides, path: str, attribute: h5py.h5a.AttrID, item: dict[str, Any]) -> None:
    record = sides.record
    ours, our_shape = types.from_hdf5(attribute.get_type()), shape_of(attribute.get_space())
    try:
        theirs, their_shape = types.from_json(item["type"]), shape_from_json(item["shape"])
    except types.UnknownType as error:
        record.differ(path, "type", str(ours), str(error))
        return
    read = None
    if our_shape is not None:
        try:
            read = attribute_values(attribute, ours, our_shape)
        except (OSError, TypeError, ValueError) as error:
            record.trouble(path, f"the attribute of the source cannot be read ({error})", cause_of(error))
            return
    scalar = our_shape == ()
    if read is not None and our_shape is not None:
        spread = _spread(ours, theirs, our_shape, read)
        if spread is not None:
            what = "array type" if isinstance(ours, types.Array) else "scalar sequence"
            record.note(path, what, str(ours), f"shape {their_shape}")
            (ours, our_shape, read), scalar = spread, False
    if our_shape != their_shape:
        record.differ(path, "shape", words_of_shape(our_shape), words_of_shape(their_shape))
        return
    compare_named_types(sides, path, attribute.get_type(), item["type"])
    if not record_mismatches(record, path, ours, theirs, scalar) or read is None or our_shape is None:
        return
    try:
        other = values.from_json(item, theirs, our_shape)
    except Undecodable as error:
        record.differ(path, "value", "readable", str(error))
        return
    pair = Pair(ours, theirs, sides.objects.same_target)
    compare_elements(sides, path, pair, read, other, our_shape, (0,) * len(our_shape))


def _spread(
    ours: types.Type, theirs: types.Type, shape: tuple[int, ...], read: np.ndarray[Any, Any]
) -> tuple[types.Type, tuple[int, ...], np.ndarray[Any, Any]] | None:
    """An attribute as h5pyd writes it where numpy has no scalar of its type: its items, in dimensions of their own.

    None where the domain has the type that the file has.
    """
    if isinstance(ours, types.Array) and not isinstance(theirs, types.Array):
        while isinstance(ours, types.Array):
            shape, ours = (*shape, *ours.dims), ours.base
        return ours, shape, read.reshape(math.prod(shape))
    if shape == () and isinstance(ours, types.Sequence) and not isinstance(theirs, types.Sequence):
        items = np.asarray(read[0])
        return ours.base, items.shape, items
    return None
