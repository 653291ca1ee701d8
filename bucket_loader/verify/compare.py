"""The comparison itself: first the tree, object by object, then each object's attributes and values.

The tree goes first because references are compared by what they point at, and that is known only when every object of
one side has found its partner on the other.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np

from . import datatypes, values, words
from .attributes import compare_attributes
from .domain import AnswerTooLarge, Domain, DomainReadError, chunk_shape_from_json, shape_from_json
from .elements import compare_elements
from .mismatches import compare_named_types, record_mismatches
from .objects import Objects, Partners
from .report import LimitReached, Recorder, Report, Trouble
from .sides import Sides
from .source import Dataset, blocks, encode, halves
from .tree import Tree
from .values import Array, Pair, Undecodable

VARIABLE_BYTES = 256  # a guess for one element that varies in size, until some have been seen
CHUNKS_PER_REQUEST = 512  # HSDS visits each chunk of a selection: about 5 ms for a linked one
UNREADABLE_LIMIT = 3  # datasets whose values cost a whole timeout, before the server is given up


def verify(
    source: h5py.File,
    domain: Domain,
    *,
    strict: bool = False,
    limit: int = 20,
    max_bytes: int = 64 << 20,
    after_hsdiff: bool = False,
    on_progress: Callable[[], None] | None = None,
) -> Report:
    """Compare a file with a domain, in both directions.

    Stops after `limit` differences. Holds about `max_bytes` bytes of values at most. `after_hsdiff`: hsdiff exited with
    0 and said nothing, so that the values of integer datasets are known to be equal, and those of float datasets but
    for the sign of zero. `on_progress` is called before each request. Raises `Trouble` when the comparison cannot be
    made or finished.
    """
    report = Report()
    domain.on_request = on_progress
    try:
        _Comparison(Sides(source, domain, Recorder(report, limit, strict)), max_bytes, after_hsdiff).run()
    except LimitReached:
        pass
    except (ArithmeticError, LookupError, MemoryError, OSError, RuntimeError, TypeError, ValueError) as error:
        if isinstance(error, Trouble):
            raise
        # a file or a domain that breaks the rules: no verdict is better than a wrong one
        raise Trouble(f"the comparison with {domain!r} ended early: {type(error).__name__}: {error}") from error
    finally:
        domain.on_request = None
    return report


def pair_up(source: h5py.File, domain: Domain) -> Objects:
    """Which object of the domain stands for which of the file. Raises `Trouble`."""
    sides = Sides(source, domain, Recorder(Report(), sys.maxsize, strict=False))
    Tree(sides).walk()
    return sides.objects


class _Comparison:
    def __init__(self, sides: Sides, max_bytes: int, after_hsdiff: bool) -> None:
        self.sides, self.after_hsdiff = sides, after_hsdiff
        self.source, self.domain, self.record, self.objects = sides.source, sides.domain, sides.record, sides.objects
        self.report = sides.record.report
        self.max_bytes, self.block_bytes = max_bytes, max(1, max_bytes // 16)
        self.tree = Tree(sides)
        self.timeouts = 0

    def run(self) -> None:
        if userblock := self.source.userblock_size:
            self.record.note("/", "user block", f"{userblock} bytes", "none")
        for partners in self.tree.walk():
            self._object(partners)

    # -- one object

    def _object(self, partners: Partners) -> None:
        self.report.objects += 1
        obj = h5py.h5o.open(self.source.id, encode(partners.path))
        item: dict[str, Any] = {}
        if partners.kind == "group":
            if partners.identity not in self.tree.attribute_counts:
                return  # unreadable, and recorded as such
            count = self.tree.attribute_counts[partners.identity]
        else:
            try:
                item = self.domain.describe(partners.identity)
            except DomainReadError as error:
                self.record.differ(partners.path, partners.kind, "readable", f"unreadable: {error}")
                return
            count = item.get("attributeCount")
        compare_attributes(self.sides, partners, obj, empty=count == 0)
        try:
            if partners.kind == "dataset":
                self._dataset(partners, item)
            elif partners.kind == "named type":
                record_mismatches(
                    self.record, partners.path, datatypes.from_hdf5(obj), datatypes.from_json(item["type"])
                )
        except datatypes.UnknownType as error:
            self.record.differ(partners.path, "type", "see the file", str(error))

    def _dataset(self, partners: Partners, item: dict[str, Any]) -> None:
        path = partners.path
        try:
            ours = Dataset(self.source, encode(path))
        except (OSError, TypeError, ValueError) as error:
            self.record.trouble(path, f"the dataset of the source cannot be opened ({error})")
            return
        theirs, their_shape = datatypes.from_json(item["type"]), shape_from_json(item["shape"])
        comparable = record_mismatches(self.record, path, ours.form, theirs)
        compare_named_types(self.sides, path, ours.id.get_type(), item["type"])
        if ours.shape != their_shape:
            self.record.differ(path, "shape", words.shape(ours.shape), words.shape(their_shape))
            comparable = False
        elif ours.shape:
            self._maxshape(path, ours, item["shape"])
        if not comparable:
            return
        pair = Pair(ours.form, theirs, self.objects.same_target)
        self._fill_value(path, ours, pair, item.get("creationProperties", {}))
        if ours.shape is not None:
            self._values(partners, ours, pair, chunk_shape_from_json(item))

    def _maxshape(self, path: str, ours: Dataset, shape: dict[str, Any]) -> None:
        assert ours.shape is not None
        theirs = tuple(None if extent == 0 else extent for extent in shape.get("maxdims", shape["dims"]))
        if "maxdims" not in shape:
            theirs = tuple(shape["dims"])
        for mine, other in zip(ours.maxshape, theirs, strict=True):
            if mine != other and not (mine == 0 and other is None):
                self.record.differ(path, "maximum shape", ours.maxshape, theirs)
                return
        if ours.maxshape != theirs:
            # 0 means unlimited to HSDS: it has no dimension that stays empty
            self.record.note(path, "maximum shape", ours.maxshape, theirs)

    def _fill_value(self, path: str, ours: Dataset, pair: Pair, properties: dict[str, Any]) -> None:
        try:
            mine = ours.fill_value()
        except (OSError, RuntimeError, TypeError, ValueError) as error:
            self.record.note(path, "fill value", f"cannot be read ({error})", properties.get("fillValue", "default"))
            return
        told = properties.get("fillValue")
        if told is None and mine is not None and not datatypes.is_plain(ours.form):
            # hsload does not hand over the fill value of a variable-length or reference type
            if not values.equal(pair, mine, values.zeros(pair.domain, 1)).all():
                self.record.note(path, "fill value", mine[0], "default")
            return
        item = {"value": told, "encoding": properties.get("fillValue_encoding")}
        try:
            other = values.from_json(item, pair.domain, ())
        except Undecodable as error:
            self.record.differ(path, "fill value", "default" if mine is None else mine[0], str(error))
            return
        default = values.zeros(pair.source, 1) if mine is None else mine
        if told is None and mine is None:
            return
        if not values.equal(pair, default, other).all():
            self.record.differ(path, "fill value", words.value(default[0]), words.value(other[0]))

    def _values(self, partners: Partners, ours: Dataset, pair: Pair, grain: tuple[int, ...]) -> None:
        assert ours.shape is not None
        reader = _Reader(self, partners, ours, pair)
        if not ours.shape:
            reader.compare(())
            return
        if len(grain) != len(ours.shape) or 0 in grain:
            grain = ours.chunks or ours.shape
        if self.after_hsdiff and datatypes.is_plain(ours.form):
            if ours.form["class"] == "integer":
                return
            reader.zeros_only = ours.form["class"] == "float"
        elements = max(1, self.block_bytes // reader.element_bytes)
        for selection in blocks(ours.shape, grain, elements, CHUNKS_PER_REQUEST):
            if not reader.compare(selection):
                return


class _Reader:
    """Reads and compares one dataset's selections; cuts them where elements turn out larger than was guessed."""

    def __init__(self, owner: _Comparison, partners: Partners, dataset: Dataset, pair: Pair) -> None:
        self.owner, self.partners, self.dataset, self.pair = owner, partners, dataset, pair
        self.variable = datatypes.is_variable(pair.source)
        size = VARIABLE_BYTES
        if not self.variable:
            size = max(datatypes.wire_dtype(form).itemsize for form in (pair.source, pair.domain))
        self.element_bytes = size
        self.zeros_only = False  # values that are not zero are known to be equal
        self.allowed = 64 if self.variable else None  # elements that may be read at once, by what has been seen

    def compare(self, selection: tuple[slice, ...]) -> bool:
        """Compare a selection; False when the rest of the dataset need not be looked at."""
        count = math.prod(s.stop - s.start for s in selection)
        if self.allowed is not None and count > self.allowed:
            return all(self.compare(half) for half in halves(selection))
        owner, path = self.owner, self.partners.path
        if self.zeros_only and not self._has_zeros(selection):
            return True
        try:
            data = owner.domain.values(self.partners.identity, selection, owner.max_bytes // 4)
            theirs = values.from_bytes(data, self.pair.domain, count)
        except AnswerTooLarge:
            if parts := halves(selection):
                return all(self.compare(part) for part in parts)
            owner.record.trouble(path, f"one element is larger than {owner.max_bytes // 4} bytes; raise max_bytes")
            return False
        except (DomainReadError, Undecodable) as error:
            where = "[" + ", ".join(f"{s.start}:{s.stop}" for s in selection) + "]" if selection else ""
            self._unreadable(where, str(error))
            return False
        try:
            ours = self.dataset.read(selection)
        except (OSError, TypeError, ValueError) as error:
            filters = ", ".join(self.dataset.filters()) or "none"
            owner.record.trouble(path, f"the values of the source cannot be read; filters: {filters} ({error})")
            return False
        self._learn(count, len(data), ours)
        shape = tuple(s.stop - s.start for s in selection)
        return compare_elements(owner.sides, path, self.pair, ours, theirs, shape, tuple(s.start for s in selection))

    def _has_zeros(self, selection: tuple[slice, ...]) -> bool:
        """Whether a selection of the source has a zero, or cannot be read."""
        try:
            values = self.dataset.read(selection)
        except (OSError, TypeError, ValueError):
            return True
        return not values.all()

    def _learn(self, count: int, size: int, ours: Array) -> None:
        if self.allowed is None or not count:
            return
        size = max(size, _deep_size(ours))
        self.allowed = max(1, min(4 * self.allowed, self.owner.block_bytes * count // max(size, 64 * count)))

    def _unreadable(self, where: str, reason: str) -> None:
        self.owner.record.differ(self.partners.path, "values", "readable", f"unreadable: {reason}", where)
        if "timed out" in reason.lower():
            self.owner.timeouts += 1
            if self.owner.timeouts >= UNREADABLE_LIMIT:
                raise Trouble(
                    f"{self.owner.domain!r} timed out on {UNREADABLE_LIMIT} datasets, last {self.partners.path}"
                )


def _deep_size(array: Array) -> int:
    """The bytes that an array of objects leads to."""
    if array.dtype.names:
        return sum(_deep_size(array[name]) for name in array.dtype.names)
    if array.dtype.kind != "O":
        return int(array.nbytes)
    return sum(int(item.nbytes) if isinstance(item, np.ndarray) else len(item) for item in array.flat if _sized(item))


def _sized(item: Any) -> bool:
    return isinstance(item, (np.ndarray, bytes, str))
