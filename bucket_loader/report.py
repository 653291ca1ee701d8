"""Shows the inventory: rows as text or JSON, and a summary. Streams: a million rows are never held."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table

from .inventory import Inventory, Row
from .states import ACTIVE, State

RECENT_SECONDS = 600  # what the rate is measured over
_SUMMARY_COLUMNS = ("state", "loadstart", "loaddone", "diffdone", "size")


def when(epoch: int) -> str:
    """A time with its zone, as local to the reader; `-` for never."""
    return datetime.fromtimestamp(epoch).astimezone().isoformat(timespec="seconds") if epoch else "-"


def duration(seconds: float) -> str:
    """`2h 03m`, `5m 07s` or `12s`."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h {minutes:02}m"
    return f"{minutes}m {rest:02}s" if minutes else f"{rest}s"


def amount(size: float) -> str:
    """Bytes for people, in powers of 1,024."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if size < 1024 or unit == "TiB":
            break
        size /= 1024
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"


def lines(rows: Iterable[Row]) -> Iterator[str]:
    """Three lines a row: file and state; start, done, run time, status, pod and reason of load and check."""
    yield "filename  [state]"
    yield "\tload\tstart\tdone\trun time\trc\tpod\treason"
    yield "\tdiff\tstart\tdone\trun time\trc\tpod\tresult"
    yield "-" * 100
    count = 0
    for row in rows:
        count += 1
        gone = f"  (source gone since {when(row.vanished)})" if row.vanished else ""
        yield f"{_visible(row.filename)}  [{row.state.label}]{gone}"
        yield _part("load", row.loadstart, row.loaddone, row.loadstatus, row.loadpodname, row.loadreason)
        yield _part("diff", row.diffstart, row.diffdone, row.diffstatus, row.diffpodname, row.diffresult)
    yield f"{count} rows"


def _part(name: str, start: int, done: int, status: int, pod: str, text: str) -> str:
    run = duration(done - start) if done and start else "-"
    return "\t".join(["", name, when(start), when(done), run, str(status), pod or "-", text or "-"])


def _visible(key: str) -> str:
    """A key on one line of a terminal: control characters are escaped."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in key)


def json_line(row: Row) -> str:
    """A row as one JSON object with every column, and the state by name."""
    return json.dumps(asdict(row) | {"state": row.state.label}, ensure_ascii=False)


@dataclass
class Summary:
    """Counts over an inventory. Bytes are those of the source files."""

    rows: int = 0
    bytes: int = 0
    counts: dict[State, int] = field(default_factory=lambda: dict.fromkeys(State, 0))
    sizes: dict[State, int] = field(default_factory=lambda: dict.fromkeys(State, 0))
    loads: list[int] = field(default_factory=list)  # times of the recent ones
    checks: list[int] = field(default_factory=list)
    began: int = 0
    now: int = 0

    @property
    def unloaded(self) -> int:
        return self.counts[State.NEW] + self.counts[State.LOADING]

    @property
    def unchecked(self) -> int:
        return self.unloaded + self.counts[State.LOADED] + self.counts[State.CHECKING]

    @property
    def finished(self) -> bool:
        return self.rows > 0 and not self.unchecked

    def per_hour(self, times: list[int]) -> float | None:
        """Files per hour over the recent minutes; None while too few are known to say."""
        window = min(RECENT_SECONDS, max(self.now - self.began, 1))
        return len(times) * 3600 / window if len(times) >= 3 else None

    def left(self) -> float | None:
        """Seconds until all is loaded and checked at the recent rates; None while nobody can know."""
        times = []
        for waiting, recent in ((self.unloaded, self.loads), (self.unchecked, self.checks)):
            if waiting:
                rate = self.per_hour(recent)
                if not rate:
                    return None
                times.append(waiting * 3600 / rate)
        return max(times, default=None)


def summarize(inventory: Inventory, now: float | None = None) -> Summary:
    """Count the rows; reads the few columns that it needs."""
    summary = Summary(now=int(time.time() if now is None else now))
    if any(name not in (inventory.dtype.names or ()) for name in _SUMMARY_COLUMNS):
        for row in inventory.rows():
            _count(summary, row.state, row.loadstart, row.loaddone, row.diffdone, row.size)
        return summary
    for _, block in inventory.stream(_SUMMARY_COLUMNS):
        for state, start, loaded, checked, size in block.tolist():
            if state not in (State.BLANK, State.DUPLICATE):
                _count(summary, State(state), start, loaded, checked, size)
    return summary


def _count(summary: Summary, state: State, start: int, loaded: int, checked: int, size: int) -> None:
    summary.rows += 1
    summary.bytes += size
    summary.counts[state] += 1
    summary.sizes[state] += size
    if start and (not summary.began or start < summary.began):
        summary.began = start
    recent = summary.now - RECENT_SECONDS
    if loaded >= recent and state not in (State.NEW, State.LOAD_FAILED):
        summary.loads.append(loaded)
    if checked >= recent and state in (State.VERIFIED, State.CHECK_FAILED):
        summary.checks.append(checked)


def summary_table(summary: Summary, title: str) -> RenderableType:
    """The summary as a table: files and bytes per state, rates, time left."""
    table = Table(box=box.SIMPLE, title=title, title_justify="left")
    for name in ("state", "files", "bytes"):
        table.add_column(name, justify="left" if name == "state" else "right")
    styles = {State.VERIFIED: "green", State.LOAD_FAILED: "red", State.CHECK_FAILED: "red"}
    for state in State:
        if state not in (State.BLANK, State.DUPLICATE):
            style = styles.get(state, "cyan" if state in ACTIVE else "") if summary.counts[state] else "dim"
            table.add_row(state.label, f"{summary.counts[state]:,}", amount(summary.sizes[state]), style=style)
    table.add_section()
    table.add_row("all", f"{summary.rows:,}", amount(summary.bytes), style="bold")
    return Group(table, *rates(summary))


def rates(summary: Summary) -> list[str]:
    """What can be said of speed and time left, a line each."""
    found = []
    for name, times in (("loads", summary.loads), ("checks", summary.checks)):
        rate = summary.per_hour(times)
        if rate:
            found.append(f"{name} in the last {duration(RECENT_SECONDS)}: {rate:,.0f} per hour")
    left = summary.left()
    if left is not None:
        found.append(f"time left at this rate: about {duration(left)}")
    return found
