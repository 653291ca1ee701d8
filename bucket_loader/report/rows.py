"""Rows as text, as JSON lines and as CSV. Everything streams: a million rows are never held."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from typing import TextIO

from ..inventory.model import Row
from ..inventory.states import ACTIVE, State
from ..log import printable, printable_json
from .words import amount, doing, duration, minute, when, zone

TIMES = frozenset(
    ("loadstart", "loaddone", "diffstart", "diffdone", "lease", "notbefore", "modified", "vanished", "added")
)
_LAYOUT = "{state:<13}{size:>10}{load:>9}{check:>9}  {changed:<18}{file}"
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")  # also as wide as some spreadsheets' languages write them
_INDENT = " " * 13

Paint = Callable[[State, str], str]


def lines(
    rows: Iterable[Row], now: float, paint: Paint = lambda _state, text: text, of_several: bool = False
) -> Iterator[str]:
    """A line a row, with a second one for what is wrong or in work; the key comes last, whole, however long it is.

    Before the rows of each inventory, where they are `of_several`, stands its domain.
    """
    header = {"state": "state", "size": "size", "load": "load", "check": "check", "file": "file"}
    yield _LAYOUT.format(**header, changed=f"when ({zone()})"[:18])
    count, inventory = 0, ""
    for row in rows:
        count += 1
        if of_several and row.inventory != inventory:
            inventory = row.inventory
            yield f"{printable(inventory)}:"
        shown = _LAYOUT.format(
            state=row.state.label,
            size=amount(row.size) if row.size else "-",
            load=_took(row.loadstart, row.loaddone, row.state is State.LOADING, now),
            check=_took(row.diffstart, row.diffdone, row.state is State.CHECKING, now),
            changed=minute(max(row.loadstart, row.loaddone, row.diffstart, row.diffdone)),
            file=printable(row.filename),
        )
        yield paint(row.state, shown[:13]) + shown[13:]
        yield from (_INDENT + note for note in notes(row, now))
    yield f"{count:,} rows"


def notes(row: Row, now: float) -> Iterator[str]:
    """What is to be said of a row beside its numbers: why it failed, who works on it, what became of its source."""
    if row.state is State.LOAD_FAILED:
        yield f"{printable(row.loadreason) or _status(row.loadstatus)}  ({_tries(row.loadattempts, row.loadpodname)})"
    elif row.state is State.CHECK_FAILED:
        yield f"{printable(row.diffresult) or _status(row.diffstatus)}  ({_tries(row.diffattempts, row.diffpodname)})"
    elif row.state in ACTIVE:
        loading = row.state is State.LOADING
        pod, attempts = (row.loadpodname, row.loadattempts) if loading else (row.diffpodname, row.diffattempts)
        again = f", attempt {attempts}" if attempts > 1 else ""
        at = f": {printable(doing(row.doing))}" if row.doing else ""
        yield f"in work at {printable(pod) or '(unnamed)'}{again}{at}"
        if row.lease and row.lease < now:
            yield f"its worker is silent: the lease is over since {duration(now - row.lease)}, another one takes it"
    elif row.notbefore > now:
        reason = row.loadreason if row.state is State.NEW else row.diffresult
        yield f"tried again in {duration(row.notbefore - now)}: {printable(reason)}"
    if row.vanished:
        yield f"source gone since {when(row.vanished)}"


def _took(start: int, done: int, running: bool, now: float) -> str:
    if running and start:
        return f"{duration(max(now - start, 0))}…"
    return duration(done - start) if done and start else "-"


def _status(status: int) -> str:
    return f"exit status {status}"


def _tries(attempts: int, pod: str) -> str:
    return ", ".join(filter(None, [f"attempt {attempts}" if attempts else "", printable(pod)])) or "not tried"


def json_line(row: Row) -> str:
    """A row as one JSON object with every column, and the state by name."""
    return printable_json(asdict(row) | {"state": row.state.label})


def write_csv(rows: Iterable[Row], stream: TextIO) -> None:
    """Rows as CSV with a header: every column, the state by name, times with their zone, empty for never.

    Texts are printable, and one that a spreadsheet would take for a formula has an apostrophe before it.
    """
    writer = csv.writer(stream, lineterminator="\n")
    names = list(Row.__dataclass_fields__)
    writer.writerow(names)
    for row in rows:
        writer.writerow([_cell(row, name) for name in names])


def _cell(row: Row, name: str) -> object:
    if name == "state":
        return row.state.label
    value = getattr(row, name)
    if name in TIMES:
        return when(value) if value else ""
    if isinstance(value, str):
        value = printable(value)
        return f"'{value}" if value.startswith(_FORMULA) else value
    return value
