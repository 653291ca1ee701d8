"""Counts the inventory for the watcher's metrics: rows and bytes per state, and how long the oldest one has waited.

A table has no index: to count it, the data node reads all of it. So it is done beside the scan, with a connection of
its own, and with pauses that leave the data node nine tenths of its time.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np

from ..inventory.claims import Inventory
from ..inventory.model import Rows
from ..inventory.states import CHECK, LOAD, OF_FILES, State, Work

SHORTEST_PAUSE = 10.0
_COLUMNS = ("state", "size", "added", "modified", "loaddone")
# since when a row has waited for a work. A new version of a file is younger than its row: its own time counts.
_SINCE: dict[Work, tuple[str, ...]] = {LOAD: ("added", "modified"), CHECK: ("loaddone",)}


def _zeros() -> dict[State, int]:
    return dict.fromkeys(sorted(OF_FILES), 0)


@dataclass
class Backlog:
    """An inventory in numbers. Bytes are those of the source files; `oldest` is in seconds, 0 where none waits."""

    rows: dict[State, int] = field(default_factory=_zeros)
    bytes: dict[State, int] = field(default_factory=_zeros)
    oldest: dict[Work, float] = field(default_factory=lambda: {LOAD: 0.0, CHECK: 0.0})

    def add(self, block: Rows, now: float) -> None:
        for state in self.rows:
            chosen = block[block["state"] == state]
            self.rows[state] += len(chosen)
            self.bytes[state] += int(chosen["size"].sum())
        for work, columns in _SINCE.items():
            waiting = block[block["state"] == work.ready]
            if len(waiting):
                since = np.max([waiting[name] for name in columns], axis=0).min()
                self.oldest[work] = max(self.oldest[work], now - float(since))


def take(inventory: Inventory) -> Backlog:
    """Count an inventory once; 36 bytes per row travel. Raises HsdsError."""
    backlog, now = Backlog(), time.time()
    for _, block in inventory.stream(_COLUMNS):
        backlog.add(block, now)
    return backlog
