"""Failures by their reason: of a thousand failed rows, the three things that are wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from ..inventory.model import states
from ..inventory.states import CHECK, LOAD, State, Work
from ..log import printable, printable_json
from .select import Selection, chosen, column, read_at
from .several import Readable

FAILED = {State.LOAD_FAILED: LOAD, State.CHECK_FAILED: CHECK}
_COLUMNS = ("filename", "loadreason", "loadstatus", "diffresult", "diffstatus")
# what differs from file to file and says nothing about the cause, the longest first
_VARYING = (
    (re.compile(r"\b[a-z][a-z0-9+.-]*://\S*[^\s:,;.)'\"]"), "URL"),
    (re.compile(r"(['\"`]).*?\1"), "'…'"),
    (re.compile(r"(?<![\w.])(?:\.{0,2}/)[^\s,;:()']+"), "/…"),
    (re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b0x[0-9a-f]+\b|\b[0-9a-f]{16,}\b", re.I), "ID"),
    (re.compile(r"(?<!\bstatus )(?<!\bstatus \d)(?<!\bstatus \d\d)[-+]?\d+(?:[.,]\d+)*(?:e[-+]?\d+)?", re.I), "N"),
)


@dataclass
class Group:
    """The failures of one kind of work that have one reason, and one of them."""

    work: str
    reason: str
    count: int
    example: str  # a key
    said: str  # its reason, word for word


def normalised(reason: str) -> str:
    """A reason without what is of one file: URLs, quoted text, paths, ids and numbers."""
    for pattern, word in _VARYING:
        reason = pattern.sub(word, reason)
    return " ".join(reason.split())


def groups(inventory: Readable, selection: Selection) -> list[Group]:
    """The failures among the chosen rows by reason, the most frequent first."""
    found: dict[tuple[str, str], Group] = {}
    wanted = Selection(
        selection.states & FAILED.keys(), selection.patterns, selection.pods, selection.since, limit=selection.limit
    )
    for places in chosen(inventory, wanted):
        for _, block in read_at(inventory, places, _COLUMNS):
            state = states(block)
            for failed, work in FAILED.items():
                here = block[state == failed]
                reasons = column(here, "loadreason" if work is LOAD else "diffresult")
                for reason, first, count in zip(
                    *np.unique(reasons, return_index=True, return_counts=True), strict=True
                ):
                    said = reason.decode("utf-8", "replace")
                    _add(
                        found,
                        work,
                        said or f"exit status {int(here[work.column('status')][first])}",
                        int(count),
                        here["filename"][first].decode("utf-8", "replace"),
                    )
    return sorted(found.values(), key=lambda group: (-group.count, group.work, group.reason))


def _add(found: dict[tuple[str, str], Group], work: Work, said: str, count: int, example: str) -> None:
    key = work.name, normalised(said)
    if key in found:
        found[key].count += count
    else:
        found[key] = Group(*key, count, example, said)


def lines(found: Sequence[Group]) -> Iterator[str]:
    """Three lines a reason: how often, and which; an example's key; what it says word for word."""
    for group in found:
        yield f"{group.count:>8,}  {group.work} failed: {printable(group.reason)}"
        yield f"{'':10}example: {printable(group.example)}"
        if group.said != group.reason:
            yield f"{'':10}says: {printable(group.said)}"
    total = sum(group.count for group in found)
    yield f"{total:,} failures, {len(found):,} reasons" if found else "nothing failed"


def json_lines(found: Sequence[Group]) -> Iterator[str]:
    return (printable_json(asdict(group)) for group in found)
