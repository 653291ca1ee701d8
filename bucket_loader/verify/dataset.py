"""One dataset: its type, shape, maximum shape and fill value, and then its values."""

from __future__ import annotations

from typing import Any

from ..causes import Trouble, cause_of
from ..hdf5 import types, values
from ..hdf5.anywhere import open_dataset
from ..hdf5.domain import chunk_shape_from_json, shape_from_json
from ..hdf5.file import Dataset
from ..hdf5.values import Pair, Undecodable
from .mismatches import compare_named_types, record_mismatches
from .pairs import Partners, Sides
from .report import Recorder, words_of_shape, words_of_value
from .selections import Reading, compare_values


def compare_dataset(sides: Sides, reading: Reading, partners: Partners, item: dict[str, Any]) -> None:
    """Compare a dataset with the JSON that describes it in the domain, and the values of both.

    Raises `UnknownType` for a type of the domain that is not understood, and `Trouble`.
    """
    path, record = partners.path, sides.record
    try:
        ours = open_dataset(sides.source, partners.place, sides.beside)
    except Trouble as error:
        record.trouble(path, str(error), error.cause)
        return
    except (OSError, TypeError, ValueError) as error:
        record.trouble(path, f"the dataset of the source cannot be opened ({error})", cause_of(error))
        return
    theirs, their_shape = types.from_json(item["type"]), shape_from_json(item["shape"])
    comparable = record_mismatches(record, path, ours.form, theirs)
    compare_named_types(sides, path, ours.id.get_type(), item["type"])
    if ours.shape != their_shape:
        record.differ(path, "shape", words_of_shape(ours.shape), words_of_shape(their_shape))
        comparable = False
    elif ours.shape:
        _compare_maxshape(record, path, ours, item["shape"])
    if not comparable:
        return
    pair = Pair(ours.form, theirs, sides.objects.same_target)
    _compare_fill_value(record, path, ours, pair, item.get("creationProperties", {}))
    if ours.shape is not None:
        compare_values(sides, reading, partners, ours, pair, chunk_shape_from_json(item))


def _compare_maxshape(record: Recorder, path: str, ours: Dataset, shape: dict[str, Any]) -> None:
    assert ours.shape is not None
    theirs = tuple(None if extent == 0 else extent for extent in shape.get("maxdims", shape["dims"]))
    if "maxdims" not in shape:
        theirs = tuple(shape["dims"])
    for mine, other in zip(ours.maxshape, theirs, strict=True):
        if mine != other and not (mine == 0 and other is None):
            record.differ(path, "maximum shape", ours.maxshape, theirs)
            return
    if ours.maxshape != theirs:
        # 0 means unlimited to HSDS: it has no dimension that stays empty
        record.note(path, "maximum shape", ours.maxshape, theirs)


def _compare_fill_value(record: Recorder, path: str, ours: Dataset, pair: Pair, properties: dict[str, Any]) -> None:
    try:
        mine = ours.fill_value()
    except (OSError, RuntimeError, TypeError, ValueError) as error:
        record.note(path, "fill value", f"cannot be read ({error})", properties.get("fillValue", "default"))
        return
    stated = properties.get("fillValue")
    if stated is None and mine is not None and not ours.form.is_plain:
        # hsload does not hand over the fill value of a variable-length or reference type
        if not values.equal(pair, mine, values.zeros(pair.domain, 1)).all():
            record.note(path, "fill value", mine[0], "default")
        return
    item = {"value": stated, "encoding": properties.get("fillValue_encoding")}
    try:
        other = values.from_json(item, pair.domain, ())
    except Undecodable as error:
        record.differ(path, "fill value", "default" if mine is None else mine[0], str(error))
        return
    default = values.zeros(pair.source, 1) if mine is None else mine
    if stated is None and mine is None:
        return
    if not values.equal(pair, default, other).all():
        record.differ(path, "fill value", words_of_value(default[0]), words_of_value(other[0]))
