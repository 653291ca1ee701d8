"""The watcher's metrics: about the bucket and about the whole inventory."""

from __future__ import annotations

import time

from ..pod.health import Pulse
from ..pod.metrics import Metrics
from .backlog import Backlog
from .watcher import Pass

_CHANGES = ("added", "refused", "changed", "vanished", "returned", "duplicates")


class WatcherMetrics(Metrics):
    """What the watcher tells, about the bucket and about the whole inventory."""

    def __init__(self, pulse: Pulse) -> None:
        super().__init__(pulse)
        self._rows = self._gauge("rows", "Rows of the inventory.", "state")
        self._row_bytes = self._gauge("row_bytes", "Bytes of the source files of these rows.", "state")
        self._oldest = self._gauge("oldest_waiting_seconds", "How long the oldest waiting row has waited.", "work")
        self._counted = self._late_gauge("counted_timestamp_seconds", "When the rows were counted.")
        self._listed = self._late_gauge("listed_objects", "Objects that the last whole scan of the bucket listed.")
        self._scans = self._counter("scans_total", "Whole scans of the bucket.")
        self._errors = self._counter("scan_errors_total", "Scans that broke off.")
        self._scanned = self._late_gauge("last_scan_timestamp_seconds", "When the last whole scan ended.")
        self._in_step = self._late_gauge("in_step_timestamp_seconds", "When the last scan or news of the queue ended.")
        self._events = self._counter("events_total", "Messages of the queue of src_events that were worked on.")
        self._scan_seconds = self._late_gauge("last_scan_seconds", "How long the last whole scan took.")
        self._changes = self._counter("changes_total", "Rows that the scans added or changed.", "change")
        for change in _CHANGES:
            self._changes.labels(change)

    def scanned(self, done: Pass, seconds: float) -> None:
        self._scans.inc()
        self._listed.set(done.listed)
        self._scanned.set(time.time())
        self._in_step.set(time.time())
        self._scan_seconds.set(seconds)
        self.changed(done)

    def changed(self, done: Pass) -> None:
        for change in _CHANGES:
            self._changes.labels(change).inc(getattr(done, change))

    def heard(self, messages: int) -> None:
        """The queue said so many; all of them are worked on."""
        self._events.inc(messages)
        self._in_step.set(time.time())

    def broke_off(self) -> None:
        self._errors.inc()

    def counted(self, backlog: Backlog) -> None:
        for state, rows in backlog.rows.items():
            self._rows.labels(state.name.lower()).set(rows)
            self._row_bytes.labels(state.name.lower()).set(backlog.bytes[state])
        for work, seconds in backlog.oldest.items():
            self._oldest.labels(work.name).set(seconds)
        self._counted.set(time.time())
