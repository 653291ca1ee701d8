"""What a comparison found: differences, notes and troubles, and their words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..causes import Cause, Trouble
from ..log import printable

NOTE_LIMIT = 200  # notes kept word for word; a file with 1,000 space-padded strings says one thing 1,000 times


class LimitReached(Exception):
    """As many differences as were asked for have been found."""


@dataclass(frozen=True)
class Difference:
    """One thing that is not the same on both sides.

    `path` is the object's path ("/a/b", with "@name" for an attribute), `what` the property, `where` the index of the
    first element that differs, or "". `source` and `domain` are both values as short text. `cause` says whether the
    copy is at fault, or a server that did not hand it over.
    """

    path: str
    what: str
    where: str
    source: str
    domain: str
    cause: Cause = "file"

    def __str__(self) -> str:
        return f"{self.path}: {self.what}{' at ' + self.where if self.where else ''}: " + (
            f"source {self.source}, domain {self.domain}"
        )


@dataclass
class Report:
    """The outcome of `verify`. `notes` are facts about the file that a domain does not hold and that cost no value."""

    differences: list[Difference] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    objects: int = 0
    attributes: int = 0
    bytes: int = 0
    note_count: int = 0
    truncated: bool = False

    @property
    def same(self) -> bool:
        return not self.differences and not self.troubles

    @property
    def deciding(self) -> Difference | None:
        """The first difference, or the first of the copy itself where there is one: that one will not pass."""
        return next((item for item in self.differences if item.cause == "file"), next(iter(self.differences), None))

    def summary(self) -> str:
        """One line of at most 200 characters."""
        if self.same:
            notes = f", {self.note_count} note(s)" if self.note_count else ""
            line = f"same: {self.objects} objects, {self.attributes} attributes, {self.bytes} bytes{notes}"
        elif self.differences:
            count = f"{len(self.differences)}{'+' if self.truncated else ''}"
            line = f"different ({count}): {self.differences[0]}"
        else:
            line = f"trouble ({len(self.troubles)}): {self.troubles[0]}"
        line = " ".join(line.split())
        return line if len(line) <= 200 else line[:199] + "…"


class Recorder:
    """Collects the report; raises `LimitReached` at the limit, so that a wrong copy does not cost a full reading."""

    def __init__(self, report: Report, limit: int, strict: bool) -> None:
        self.report, self.limit, self.strict = report, limit, strict

    def differ(
        self, path: str, what: str, source: object, domain: object, where: str = "", cause: Cause = "file"
    ) -> None:
        item = Difference(printable(path), what, where, short(source), short(domain), cause)
        self.report.differences.append(item)
        if len(self.report.differences) >= self.limit:
            self.report.truncated = True
            raise LimitReached

    def note(self, path: str, what: str, source: object, domain: object) -> None:
        """Record what the domain does not hold; a difference when `strict`."""
        if self.strict:
            self.differ(path, what, source, domain)
            return
        self.report.note_count += 1
        if self.report.note_count <= NOTE_LIMIT:
            self.report.notes.append(f"{printable(path)}: {what}: source {short(source)}, domain {short(domain)}")

    def trouble(self, path: str, what: str, cause: Cause = "file") -> None:
        """Record what cannot be compared. Raises `Trouble` when that is no fault of the file, nor of this object."""
        words = f"{printable(path)}: {printable(' '.join(what.split()))}"
        if cause != "file":
            raise Trouble(words, cause)
        self.report.troubles.append(words)
        if len(self.report.troubles) >= self.limit:
            self.report.truncated = True
            raise LimitReached


def short(value: object, width: int = 120) -> str:
    """A value as text of one line."""
    text = printable(value if isinstance(value, str) else repr(value))
    return text if len(text) <= width else text[: width - 1] + "…"


def words_of_link(found: tuple[str, ...]) -> str:
    return f"{found[0]} link" + (" to " + ":".join(found[1:]) if found[0] in ("soft", "external") else "")


def words_of_shape(extents: tuple[int, ...] | None) -> str:
    return "null space" if extents is None else "scalar" if extents == () else str(tuple(extents))


def words_of_value(element: Any) -> str:
    """Numbers without numpy's wrapping, text as bytes."""
    if isinstance(element, np.void) and element.dtype.names is None:
        return str(element.tobytes().hex())
    if isinstance(element, (np.generic, np.ndarray)):
        return repr(element.tolist())
    return element if isinstance(element, str) else repr(element)
