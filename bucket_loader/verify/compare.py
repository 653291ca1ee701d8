"""The comparison itself: first the tree, then each object's attributes, type, shape and values.

The tree goes first because references are compared by what they point at, and that is known only when every object of
one side has found its partner on the other. From here one object is followed through `tree`, `attributes`, `dataset`,
`selections` and `elements`; none of them knows those before it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

import h5py

from ..causes import Trouble, cause_of
from ..hdf5 import types
from ..hdf5.beside import Beside
from ..hdf5.domain import Domain, DomainReadError
from .attributes import compare_attributes
from .dataset import compare_dataset
from .mismatches import record_mismatches
from .pairs import Objects, Partners, Sides
from .report import LimitReached, Recorder, Report
from .selections import Reading
from .tree import Tree


def verify(
    source: h5py.File,
    domain: Domain,
    *,
    strict: bool = False,
    limit: int = 20,
    max_bytes: int = 64 << 20,
    after_hsdiff: bool = False,
    sampled: bool = False,
    beside: Beside | None = None,
) -> Report:
    """Compare a file with a domain, in both directions.

    Stops after `limit` differences. Holds about `max_bytes` bytes of values at most. `after_hsdiff`: hsdiff exited with
    0 and said nothing, so that the values of integer datasets are known to be equal, and those of float datasets but
    for the sign of zero. `sampled`: of a large dataset the values at its corners and in its middle alone. `beside`: the
    files that the source may have values in. Raises `Trouble` when the comparison cannot be made or finished.
    """
    report = Report()
    try:
        sides = Sides(source, domain, Recorder(report, limit, strict), beside)
        _compare(sides, Reading(max_bytes, after_hsdiff, sampled))
    except LimitReached:
        pass
    except Trouble:
        raise
    except Exception as error:
        # a file or a domain that breaks the rules: no verdict is better than a wrong one
        words = f"the comparison with {domain!r} ended early: {type(error).__name__}: {error}"
        raise Trouble(words, cause_of(error)) from error
    return report


def pair_up(source: h5py.File, domain: Domain) -> Objects:
    """Which object of the domain stands for which of the file. Raises `Trouble`."""
    sides = Sides(source, domain, Recorder(Report(), sys.maxsize, strict=False))
    Tree(sides).walk()
    return sides.objects


def _compare(sides: Sides, reading: Reading) -> None:
    if userblock := sides.source.userblock_size:
        sides.record.note("/", "user block", f"{userblock} bytes", "none")
    tree = Tree(sides)
    for batch in sides.domain.batches(tree.walk(), "attributes"):
        for partners in batch:
            _compare_object(sides, reading, partners, tree.attribute_counts)


def _compare_object(
    sides: Sides, reading: Reading, partners: Partners, attribute_counts: Mapping[str, int | None]
) -> None:
    """Compare everything of an object but its links, which the tree has compared."""
    path, record = partners.path, sides.record
    record.report.objects += 1
    if partners.kind == "group":
        # one without a count is unreadable, and recorded as such
        if partners.identity in attribute_counts:
            compare_attributes(sides, partners, empty=attribute_counts[partners.identity] == 0)
        return
    try:
        item = sides.domain.describe(partners.identity)
    except DomainReadError as error:
        record.differ(path, partners.kind, "readable", f"unreadable: {error}", cause=error.cause)
        return
    compare_attributes(sides, partners, empty=item.get("attributeCount") == 0)
    try:
        if partners.kind == "dataset":
            compare_dataset(sides, reading, partners, item)
        elif partners.kind == "named type":
            ours = types.from_hdf5(partners.place.open(sides.source))
            record_mismatches(record, path, ours, types.from_json(item["type"]))
    except types.UnknownType as error:
        record.differ(path, "type", "see the file", str(error))
