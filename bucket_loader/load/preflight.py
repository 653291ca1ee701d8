"""`python -m bucket_loader.load.preflight SOURCE`: what a load has to know of a file before it begins, as JSON.

How much is in it (the domain must have as much afterwards), why it cannot be loaded or linked, and whether it has
attributes that hsload writes with another type, or links that it leaves out, which are to be written again. A child of
the worker, because a broken file may crash or hang the HDF5 library. Exit status 0, or 2 when the file cannot be read.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import h5py

from ..children.answer import Answer
from ..children.answering import answered, child_parser, open_source
from ..hdf5 import types
from ..hdf5.elsewhere import values_elsewhere
from ..hdf5.file import Item, attribute_names, attributes, decode, objects, reading
from ..log import clear_line, printable
from ..storage.datatypes import unread_by
from ..storage.oversize import (
    MAX_DEPTH,
    MAX_MEMBERS,
    SizeLimits,
    Unwritten,
    too_large_a_chunk,
    too_long_a_name,
    too_many_members,
    too_much_unwritten,
)
from .linkable import copy_problem, filter_problem, is_copied, link_problem
from .object_counts import Counts
from .repair import needs_repair
from .unlike import torn, turned

# h5pyd puts the name of an attribute or link into the address of its request as it is: it ends there, or is decoded
_CUT = re.compile(r"[?#]|%[0-9A-Fa-f]{2}")


@dataclass(frozen=True)
class Preflight:
    """Why a file cannot be loaded at all (`load_problem`), linked, or copied; empty when it can.

    `filter_problem`: why a copy has to leave out the filters. `needs_repair` is the number of attributes and links to
    write again, `levels` the sum of the depths of all objects, `chunks` how many a copy has to write.
    """

    counts: Counts
    load_problem: str = ""
    link_problem: str = ""
    copy_problem: str = ""
    needs_repair: int = 0
    filter_problem: str = ""
    levels: int = 0
    chunks: int = 0

    def requests(self, copied: bool) -> int:
        """About how many hsload makes: 12 for an object below the root, one for an attribute and for a chunk."""
        counts = self.counts
        objects = counts.groups + counts.datasets + counts.types
        return 10 * objects + 2 * self.levels + counts.attributes + (self.chunks if copied else 0)

    def to_json(self) -> dict[str, Any]:
        """The content of an answer. Names are as long as a file makes them, and lines are not."""
        return {name: clear_line(value) if isinstance(value, str) else value for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Preflight:
        """Raises TypeError or KeyError for anything else than what `to_json` made."""
        return cls(**{**fields, "counts": Counts(**fields["counts"])})


def preflight(
    file: h5py.File,
    linked: bool = True,
    limits: SizeLimits = SizeLimits(),  # noqa: B008 - frozen
    readers: Sequence[str] = (),
) -> Preflight:
    """Walk through a file's objects; reads their headers and no values. `readers`: versions of HSDS, for its domain.

    Without `linked`, it does not read where each chunk lies, and tells no link_problem. What is refused is walked no
    further: it may have been made to be endless.
    """
    walk = _Walk(file, linked, limits, readers)
    for item in objects(file, MAX_MEMBERS):
        with reading(item.place):
            load_problem = walk.problem_of(item)
        if load_problem:
            return walk.found(load_problem)
    return walk.found()


class _Walk:
    """What there is in the objects up to here, and what is in the way."""

    def __init__(self, file: h5py.File, linked: bool, limits: SizeLimits, readers: Sequence[str]) -> None:
        self._linked, self._limits, self._readers = linked, limits, readers
        self._numbers = dict.fromkeys(asdict(Counts()), 0)
        self._unwritten = Unwritten(file, limits.unwritten)
        self._to_repair = self._levels = 0
        # of the first dataset that has one
        self._link_problem = self._copy_problem = self._filter_problem = ""

    def found(self, load_problem: str = "") -> Preflight:
        return Preflight(
            Counts(**self._numbers),
            load_problem,
            self._link_problem,
            self._copy_problem,
            self._to_repair,
            self._filter_problem,
            self._levels,
            self._unwritten.chunks,
        )

    def problem_of(self, item: Item) -> str:
        """Count an object, its links and attributes; why it cannot be loaded, or an empty text."""
        attribute_count = h5py.h5a.get_num_attrs(item.id)
        self._numbers[{"group": "groups", "dataset": "datasets", "named type": "types"}[item.kind]] += 1
        self._numbers["links"] += len(item.links)
        self._numbers["attributes"] += attribute_count
        self._levels += item.place.depth
        # first of all: what is refused for its number is not to be listed
        if too_many := too_many_members(item.path, item.link_count + attribute_count):
            return too_many
        self._to_repair += sum(1 for _ in needs_repair(item.id)) + item.to_root
        problem = _unnameable(item) or _turned(item)
        return problem or (self._problem_of_dataset(item.path, item.id) if item.kind == "dataset" else "")

    def _problem_of_dataset(self, path: str, dataset: h5py.h5d.DatasetID) -> str:
        self._unwritten.add(dataset)
        problem = (
            values_elsewhere(path, dataset)
            or _unread(path, dataset, self._readers)
            or too_large_a_chunk(path, dataset, self._limits.chunk)
            or too_much_unwritten(path, self._unwritten.size, self._limits.unwritten)
        )
        if self._linked and not problem and not self._link_problem:
            # what is copied although links are wanted is copied with its filters
            self._link_problem = (filter_problem if is_copied(dataset) else link_problem)(path, dataset)
        self._filter_problem = self._filter_problem or filter_problem(path, dataset)
        self._copy_problem = (
            self._copy_problem or copy_problem(path, dataset, self._limits.chunk) or torn(path, dataset)
        )
        if problem or not self._copy_problem or not is_copied(dataset):
            return problem
        return self._copy_problem


def _turned(item: Item) -> str:
    """Why the type of an object or of one of its attributes would be written in another byte order, or nothing."""
    path = item.path
    if item.kind != "group":
        problem = turned(f"{item.kind} {path}", item.id.get_type() if item.kind == "dataset" else item.id)
        if problem:
            return problem
    told_of = (turned(f"attribute {printable(name)} of {path}", one.get_type()) for name, one in attributes(item.id))
    return next(filter(None, told_of), "")


def _unread(path: str, dataset: h5py.h5d.DatasetID, readers: Sequence[str]) -> str:
    """Why one of the versions of HSDS that are to read a dataset could not; an empty text when all can."""
    problem = unread_by(types.from_hdf5(dataset.get_type()), readers)
    return f"dataset {path} has {problem}" if problem else ""


def _unnameable(item: Item) -> str:
    """Why the names of an object's attributes or links could not be written; an empty text when they can."""
    if item.place.depth > MAX_DEPTH:
        return f"object {item.path} lies {item.place.depth:,} levels deep: {MAX_DEPTH:,} can be loaded"
    for what, names in (("attribute", map(decode, attribute_names(item.id))), ("link", item.links)):
        for name in names:
            if long := too_long_a_name(f"{item.path} has a {what}", name):
                return long
            if _CUT.search(name):
                return f"{what} {printable(name)} of {item.path}: hsload would write it under another name"
    if item.odd_link:
        where = f"link {printable(item.odd_link)} of {item.path}"
        return f"{where} leads to a name that is not UTF-8: hsload would write another"
    return ""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = child_parser("load.preflight", "Say what a load has to know of a file, as JSON.")
    parser.add_argument("--copied", action="store_true", help="links are not wanted: do not look at each chunk's place")
    parser.add_argument("--max-chunk", type=int, default=SizeLimits.chunk, metavar="BYTES")
    parser.add_argument("--max-unwritten", type=int, default=SizeLimits.unwritten, metavar="BYTES")
    parser.add_argument("--reader", action="append", default=[], metavar="VERSION", help="of HSDS that is to read it")
    options = parser.parse_args(arguments)
    limits = SizeLimits(options.max_chunk, options.max_unwritten)

    def find() -> Answer:
        with open_source(options.source) as file:
            return Answer("done", content=preflight(file, not options.copied, limits, options.reader).to_json())

    answer = answered(options.answer, find)
    if answer.verdict == "done" and not options.answer:
        print(json.dumps(answer.content))
    return 0 if answer.verdict == "done" else 2


if __name__ == "__main__":
    sys.exit(main())
