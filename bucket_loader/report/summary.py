"""Counts over an inventory, the pace of the last minutes, the time left, and what each pod is doing.

Read with 72 bytes a row; names, pods and reasons only of the rows in work and those of the last minutes.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ..inventory.model import Rows, of_files, states
from ..inventory.states import CHECK, FINISHED, LOAD, State, Work
from .select import SHOWABLE, Indices, Mask, column, is_active, read_at, stream
from .several import Readable
from .words import doing, pod_of

RECENT_SECONDS = 600  # what the pace is measured over
ENOUGH_FILES = 10  # files that are finished in that time before a pace is told
ENOUGH_SECONDS = 30
_COLUMNS = (
    *("state", "loadstart", "loaddone", "diffstart", "diffdone"),
    *("size", "lease", "notbefore", "vanished", "loadattempts", "oldbytes"),
)
_OF_PODS = ("filename", "loadpodname", "diffpodname", "loadattempts", "diffattempts", "doing", *_COLUMNS)


@dataclass
class Pace:
    """How fast one kind of work went in the last minutes, and what of it is left. Bytes are those of source files."""

    work: Work
    files: int = 0
    bytes: int = 0
    since: int = 0  # epoch seconds: where the measuring begins
    now: int = 0
    files_left: int = 0
    bytes_left: int = 0

    @property
    def seconds(self) -> int:
        return min(RECENT_SECONDS, max(self.now - self.since, 1)) if self.files else 0

    @property
    def known(self) -> bool:
        """Whether enough was finished, over long enough, to speak of a pace."""
        return self.files >= ENOUGH_FILES and self.seconds >= ENOUGH_SECONDS

    @property
    def per_hour(self) -> float:
        return self.files * 3600 / self.seconds

    def left(self) -> tuple[float, float] | None:
        """Seconds for what is left, the least and the most: by the files, and by their bytes. None when unknown."""
        if not self.known or not self.files_left:
            return None
        by_files = self.files_left * self.seconds / self.files
        by_bytes = self.bytes_left * self.seconds / self.bytes if self.bytes else by_files
        # the smallest file takes a load's requests, too
        least = max(min(by_files, by_bytes), self.seconds / self.files)
        return least, max(by_files, by_bytes, least)


@dataclass(frozen=True)
class Task:
    """A row in work."""

    pod: str
    work: Work
    key: str
    size: int
    began: int
    attempt: int
    abandoned: bool  # its lease is over: another worker will take it
    doing: str = ""


@dataclass
class Pod:
    """A pod, as the rows know it: what it has in hand, and what it did in the last minutes."""

    name: str
    tasks: list[Task] = field(default_factory=list)
    good: int = 0
    failed: int = 0
    bytes: int = 0


@dataclass
class Summary:
    """What a summary shows. Bytes are those of the source files."""

    now: int
    rows: int = 0
    bytes: int = 0
    counts: dict[State, int] = field(default_factory=lambda: dict.fromkeys(State, 0))
    sizes: dict[State, int] = field(default_factory=lambda: dict.fromkeys(State, 0))
    retrying: int = 0  # new or loaded rows that wait for another try
    abandoned: int = 0  # rows in work whose lease is over
    vanished: int = 0
    leftover: int = 0  # bytes of domains that were replaced, and are to be deleted
    loads: Pace = field(default_factory=lambda: Pace(LOAD))
    checks: Pace = field(default_factory=lambda: Pace(CHECK))
    pods: list[Pod] = field(default_factory=list)

    @property
    def unloaded(self) -> int:
        return self.counts[State.NEW] + self.counts[State.LOADING]

    @property
    def unchecked(self) -> int:
        return self.rows - sum(self.counts[state] for state in FINISHED)

    @property
    def failed(self) -> int:
        return self.counts[State.LOAD_FAILED] + self.counts[State.CHECK_FAILED]

    @property
    def running(self) -> int:
        return self.counts[State.LOADING] + self.counts[State.CHECKING]

    @property
    def finished(self) -> bool:
        return self.rows > 0 and not self.unchecked

    @property
    def tasks(self) -> list[Task]:
        """What is in work, the longest first."""
        return sorted((task for pod in self.pods for task in pod.tasks), key=lambda task: task.began)


def summarize(inventory: Readable, now: float | None = None) -> Summary:
    """Count the rows, and look closer at those in work and those of the last minutes."""
    summary = Summary(now=int(time.time() if now is None else now))
    near: list[Indices] = [np.zeros(0, "i8")]
    for start, block in stream(inventory, _COLUMNS):
        near.append(np.flatnonzero(_count(summary, block)) + start)
    for pace in (summary.loads, summary.checks):
        pace.now = summary.now
    _count_left(summary)
    summary.pods = _pods(inventory, np.concatenate(near), summary.now)
    return summary


def _count(summary: Summary, block: Rows) -> Mask:
    """Add some rows; returns which of them are in work or were finished in the last minutes."""
    state = states(block)
    exists = of_files(state)
    size = np.where(exists, column(block, "size"), 0)
    summary.rows += int(exists.sum())
    summary.bytes += int(size.sum())
    for one in SHOWABLE:
        mask = state == one
        summary.counts[one] += int(mask.sum())
        summary.sizes[one] += int(size[mask].sum())
    active = is_active(state)
    lease, notbefore = column(block, "lease"), column(block, "notbefore")
    if "lease" in (block.dtype.names or ()):
        summary.abandoned += int((active & (lease < summary.now)).sum())
    summary.retrying += int((exists & ~active & (notbefore > summary.now)).sum())
    summary.leftover += int(column(block, "oldbytes").sum())
    summary.vanished += int((exists & (column(block, "vanished") > 0)).sum())
    near = active
    for pace in (summary.loads, summary.checks):
        recent = _recent(block, state, pace.work, summary.now)
        if recent.any():
            began = int(block[pace.work.column("start")][recent].min())
            pace.since = min(pace.since, began) if pace.files else began
            pace.files += int(recent.sum())
            pace.bytes += int(size[recent].sum())
            near = near | recent
    return near


def _recent(block: Rows, state: npt.NDArray[np.int32], work: Work, now: int) -> Mask:
    """Which rows this kind of work finished in the last minutes. What the watcher refused was never in work."""
    over = (
        [State.NEW, State.LOADING]
        if work is LOAD
        else [State.NEW, State.LOADING, State.LOAD_FAILED, State.LOADED, State.CHECKING]
    )
    recent = (
        of_files(state)
        & (block[work.column("done")] >= now - RECENT_SECONDS)
        & ~np.isin(state, [int(one) for one in over])
    )
    if work is LOAD and "loadattempts" in (block.dtype.names or ()):
        recent &= block["loadattempts"] > 0
    return recent


def _count_left(summary: Summary) -> None:
    counts, sizes = summary.counts, summary.sizes
    for pace, waiting in (
        (summary.loads, (State.NEW, State.LOADING)),
        (summary.checks, (State.NEW, State.LOADING, State.LOADED, State.CHECKING)),
    ):
        pace.files_left = sum(counts[state] for state in waiting)
        pace.bytes_left = sum(sizes[state] for state in waiting)


def _pods(inventory: Readable, places: Indices, now: int) -> list[Pod]:
    """The pods that have a row in work, or finished one in the last minutes."""
    pods: dict[str, Pod] = {}
    for _, block in read_at(inventory, places, _OF_PODS):
        state = states(block)
        for work in (LOAD, CHECK):
            names = column(block, work.column("podname"))
            recent = _recent(block, state, work, now)
            for row in np.flatnonzero(recent):
                pod = _pod(pods, names[row])
                failed = state[row] == work.failed
                pod.failed += int(failed)
                pod.good += int(not failed)
                pod.bytes += int(column(block, "size")[row])
            for row in np.flatnonzero(state == work.active):
                _pod(pods, names[row]).tasks.append(_task(block, int(row), work, now))
    return sorted(pods.values(), key=lambda pod: pod.name)


def _pod(pods: dict[str, Pod], worker: bytes) -> Pod:
    name = _name(worker)
    return pods.setdefault(name, Pod(name))


def _name(worker: bytes) -> str:
    return pod_of(worker).decode("utf-8", "replace") or "(unnamed)"


def _task(block: Rows, row: int, work: Work, now: int) -> Task:
    has_lease = "lease" in (block.dtype.names or ())
    return Task(
        pod=_name(column(block, work.column("podname"))[row]),
        work=work,
        key=block["filename"][row].decode("utf-8", "replace"),
        size=int(column(block, "size")[row]),
        began=int(block[work.column("start")][row]),
        attempt=int(column(block, work.column("attempts"))[row]),
        abandoned=has_lease and int(block["lease"][row]) < now,
        doing=doing(column(block, "doing")[row].decode("ascii", "replace")),
    )
