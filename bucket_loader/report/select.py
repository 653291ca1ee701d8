"""Which rows are shown, and how they are read: first the narrow columns of a choice, then what is shown of the chosen.

A row takes 2.3 KB in the table, of which a choice by state needs 4 bytes. Inventories of 2021 have fewer columns: what
is missing reads as zeros, and the state follows from the rest.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import translate
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter, ValidationError

from ..config import Seconds
from ..inventory.model import COLUMNS, COLUMNS_OF_STATE, Row, Rows, decode, of_files, states
from ..inventory.states import ACTIVE, OF_FILES, State
from .several import Readable

SHOWABLE = tuple(sorted(OF_FILES))
LABELS = {state.label.replace(" ", "-"): state for state in SHOWABLE}
EVENTS = ("loadstart", "loaddone", "diffstart", "diffdone", "added", "vanished")  # what --since looks at
RUN_GAP = 256  # rows that are not wanted and are read along: one more request costs more than a quarter of a chunk

Indices = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


def present(inventory: Readable, names: Sequence[str]) -> list[str]:
    """Those of the columns that this inventory has, with what its states follow from."""
    has = cast("tuple[str, ...]", inventory.dtype.names)
    wanted = {*names, "state"} if "state" in has else {*names, *COLUMNS_OF_STATE}
    return [name for name in has if name in wanted]


def stream(inventory: Readable, columns: Sequence[str]) -> Iterator[tuple[int, Rows]]:
    """Those of the columns that there are, of the whole table, as (index of the first row, rows), in order."""
    return inventory.stream(present(inventory, columns))


def column(block: Rows, name: str) -> npt.NDArray[Any]:
    """A column of some rows; zeros where the inventory has none of this name."""
    return block[name] if name in (block.dtype.names or ()) else np.zeros(len(block), COLUMNS[name])


def changed(block: Rows) -> npt.NDArray[np.int64]:
    """When something happened last to each of some rows, epoch seconds."""
    latest: Indices = np.maximum.reduce([column(block, name) for name in EVENTS], axis=0)
    return latest


# what --sort takes: the columns that it needs, the key, and whether the largest comes first
SORTS: dict[str, tuple[tuple[str, ...], Any, bool]] = {
    "name": (("filename",), lambda block: block["filename"], False),
    "state": (("state",), states, False),
    "size": (("size",), lambda block: column(block, "size"), True),
    "load": (("loadstart", "loaddone"), lambda block: _took(block, "load"), True),
    "check": (("diffstart", "diffdone"), lambda block: _took(block, "diff"), True),
    "attempts": (("loadattempts", "diffattempts"), lambda block: _attempts(block), True),
    "changed": (EVENTS, changed, True),
}


def _took(block: Rows, prefix: str) -> npt.NDArray[np.int64]:
    start, done = block[f"{prefix}start"], block[f"{prefix}done"]
    took: Indices = np.where((start > 0) & (done >= start), done - start, -1)
    return took


def _attempts(block: Rows) -> npt.NDArray[np.int64]:
    both: Indices = np.add(column(block, "loadattempts"), column(block, "diffattempts"), dtype="i8")
    return both


def moment(text: str, now: float | None = None) -> int:
    """Epoch seconds of `2h` (ago), `2026-11-20` or `2026-11-20T18:00`. Raises ValueError."""
    try:
        return int((time.time() if now is None else now) - TypeAdapter[float](Seconds).validate_python(text))
    except ValidationError:
        pass
    try:
        return int(datetime.fromisoformat(text).timestamp())
    except ValueError:
        raise ValueError(f"{text!r} is no time: write 90m, 2h or 3d for ago, or 2026-11-20, 2026-11-20T18:00") from None


@dataclass(frozen=True)
class Selection:
    """Which rows, in which order, and how many. Patterns and pods are shell patterns of which one has to fit."""

    states: frozenset[State] = frozenset(SHOWABLE)
    patterns: tuple[str, ...] = ()
    pods: tuple[str, ...] = ()
    since: int = 0
    sort: str = ""
    reverse: bool = False
    limit: int | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """What the choice itself has to know."""
        return (
            "state",
            *(("filename",) if self.patterns else ()),
            *(("loadpodname", "diffpodname") if self.pods else ()),
            *(EVENTS if self.since else ()),
        )

    def mask(self, block: Rows) -> Mask:
        """Which of some rows are chosen."""
        state = states(block)
        chosen = of_files(state) & np.isin(state, [int(one) for one in self.states])
        if self.since:
            chosen &= changed(block) >= self.since
        if self.patterns:
            chosen &= _fitting([block["filename"]], self.patterns, chosen)
        if self.pods:
            # a pod with several workers has a number behind its name
            patterns = [form for pod in self.pods for form in (pod, f"{pod}/*")]
            chosen &= _fitting([column(block, "loadpodname"), column(block, "diffpodname")], patterns, chosen)
        return chosen


def _fitting(columns: Sequence[npt.NDArray[Any]], patterns: Sequence[str], among: Mask) -> Mask:
    fits = re.compile("|".join(map(translate, patterns))).match
    found = np.zeros(len(among), "?")
    for index in np.flatnonzero(among):
        found[index] = any(fits(values[index].decode("utf-8", "replace")) for values in columns)
    return found


def chosen(inventory: Readable, selection: Selection) -> Iterator[Indices]:
    """The places of the chosen rows in the table, some at a time, in the selection's order and number."""
    if selection.sort:
        yield _sorted(inventory, selection)
        return
    left = selection.limit
    for start, block in stream(inventory, selection.columns):
        found = np.flatnonzero(selection.mask(block)) + start
        if left is not None:
            found = found[:left]
            left -= len(found)
        yield found
        if left == 0:
            return


def _sorted(inventory: Readable, selection: Selection) -> Indices:
    columns, key, largest_first = SORTS[selection.sort]
    places: list[Indices] = [np.zeros(0, "i8")]
    keys: list[npt.NDArray[Any]] = []
    for start, block in stream(inventory, (*selection.columns, *columns)):
        found = np.flatnonzero(selection.mask(block))
        places.append(found + start)
        # names as objects: they take their length, not the column's
        values = np.asarray(key(block))[found]
        keys.append(values.astype(object) if values.dtype.kind == "S" else values)
    order = np.argsort(np.concatenate(keys), kind="stable") if keys else np.zeros(0, "i8")
    if largest_first is not selection.reverse:
        order = order[::-1]
    return np.concatenate(places)[order][: selection.limit]


def read_at(inventory: Readable, places: Indices, columns: Sequence[str]) -> Iterator[tuple[Indices, Rows]]:
    """The rows at some places, in the order of the table, as (places, rows), with some columns."""
    names = present(inventory, columns)
    ordered = np.sort(places)
    if not len(ordered):
        return
    chunk = inventory.chunk_rows * 8
    ends = np.flatnonzero((np.diff(ordered) > RUN_GAP) | (np.diff(ordered // chunk) > 0)) + 1
    for run in np.split(ordered, ends):
        first = int(run[0])
        yield run, inventory.read(first, int(run[-1]) + 1, names)[run - first]


def rows(inventory: Readable, selection: Selection) -> Iterator[Row]:
    """The chosen rows, decoded with all their columns. They stream, unless they are sorted."""
    everything = cast("tuple[str, ...]", inventory.dtype.names)
    for places in chosen(inventory, selection):
        blocks = read_at(inventory, places, everything)
        found = (one for run, block in blocks for one in _decoded(inventory, run, block, everything))
        if selection.sort:
            by_place = dict(found)
            yield from (by_place[place] for place in places.tolist())
        else:
            yield from (row for _, row in found)


def _decoded(
    inventory: Readable, run: npt.NDArray[np.int64], block: Rows, everything: Sequence[str]
) -> Iterator[tuple[int, Row]]:
    """The rows of a block with their places; the inventory of each has its own columns."""
    names = [name for name in everything if name in (block.dtype.names or ())]
    for place, values in zip(run.tolist(), block, strict=True):
        domain, index = inventory.at(place)
        yield place, decode(index, values.item(), names, domain)


def is_active(state: npt.NDArray[np.int32]) -> Mask:
    """Which rows a worker works on."""
    return np.isin(state, [int(one) for one in ACTIVE])
