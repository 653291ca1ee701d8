"""The watcher: compares the bucket's listing with the inventory, and brings the inventory up to date.

It reads the table's identifying columns once and then only what was appended lately, by itself or by another watcher;
there is never a query per key.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..domains import Domains
from ..hsds import Unavailable
from ..inventory.claims import Inventory
from ..log import event
from ..pod.observer import Observer
from ..progress import Ticker
from ..s3 import Source, SourceObject
from .known_keys import COLUMNS, KnownKeys, digests_of

BATCH_ROWS = 1000


@dataclass
class Pass:
    """What one pass over the bucket did."""

    listed: int = 0
    added: int = 0
    refused: int = 0
    changed: int = 0
    vanished: int = 0
    returned: int = 0
    duplicates: int = 0

    @property
    def news(self) -> int:
        """How many rows this pass wrote."""
        return self.added + self.refused + self.changed + self.vanished + self.returned + self.duplicates


class Watcher:
    """Keeps one inventory in step with one bucket. Two of them do no harm: each reads what the other added."""

    def __init__(
        self, source: Source, inventory: Inventory, domains: Domains, observer: Observer | None = None
    ) -> None:
        self._source, self._inventory, self._domains = source, inventory, domains
        self._observer = observer or Observer()
        self._known = KnownKeys()
        self._table_id = ""
        self._settled = 0  # rows that were in storage when they were read: nothing can take them back
        self._flushed: npt.NDArray[np.int64] = np.zeros(0, "i8")  # ids of the rows after these, at the last flush

    def scan(self) -> Pass:
        """One pass over the bucket. Raises SourceError or HsdsError; what was done before it stays and is right."""
        done = Pass()
        self._read_table(done)
        self._known.begin_pass()
        fresh: list[SourceObject] = []
        ticker = Ticker()
        for page in self._source.list_pages():
            self._observer.alive()
            done.listed += len(page)
            if ticker.due():
                event(logging.INFO, "scanning", listed=done.listed, added=done.added, last=page[-1].key if page else "")
            fresh += self._take(page, done)
            if len(fresh) >= BATCH_ROWS:
                self._add(fresh, done)
                fresh = []
        self._add(fresh, done)
        self._flag_missing(done)
        self._flush()
        return done

    def hear(self, there: Sequence[SourceObject], gone: Iterable[str]) -> Pass:
        """A pass over some keys alone: what the bucket has of them now, and which of them it has not.

        Raises HsdsError; what was done before it stays and is right. Rows are in storage when it returns.
        """
        done = Pass(listed=len(there))
        self._read_table(done)
        self._known.forget_pages()
        self._add(self._take(there, done), done)
        rows = self._known.find(digests_of(gone))
        for row in rows[rows >= 0].tolist():
            if not self._known.vanished[row]:
                self._flag(row, self._inventory.row(row).filename, done)
        self._flush()
        return done

    def _take(self, page: Sequence[SourceObject], done: Pass) -> list[SourceObject]:
        """Bring the rows of some objects up to date; returns those that have none."""
        missing, news = self._known.compare(page)
        for place, row, fingerprint in news:
            self._compare(row, page[place], fingerprint, done)
        return [page[place] for place in missing]

    def _flush(self) -> None:
        if self._known.rows > self._settled:
            self._flushed = self._known.rowids[self._settled :].copy()
            self._inventory.flush()

    def _read_table(self, done: Pass) -> None:
        """Read what the table has beyond the rows that are settled.

        A row that a data node had in its memory alone goes with it, and a row that another watcher is appending reads
        as zeros: neither is believed before it was found unchanged after a flush.
        """
        rows = self._inventory.count()
        if self._inventory.table_id != self._table_id or rows < self._settled:
            if self._table_id:
                event(logging.WARNING, "the inventory was replaced", domain=self._inventory.domain, rows=rows)
            self._table_id, self._settled, self._known = self._inventory.table_id, 0, KnownKeys()
            self._flushed = np.zeros(0, "i8")
        before = self._known.rows
        self._known.truncate(self._settled)
        self._read_new_rows(done)
        if before > self._known.rows:
            event(logging.WARNING, "rows were lost with a data node", rows=before - self._known.rows)
        found = self._known.rowids[self._settled : self._settled + len(self._flushed)]
        if np.array_equal(found, self._flushed):
            self._settled += len(self._flushed)

    def _read_new_rows(self, done: Pass) -> None:
        known, ticker = self._known, Ticker()
        for start, block in self._inventory.stream(COLUMNS, start=known.rows):
            self._observer.alive()
            if ticker.due():
                event(logging.INFO, "reading the inventory", rows=start)
            for row in known.extend(block).tolist():
                # two watchers saw the key at once, or the answer to an append was lost
                done.duplicates += self._inventory.drop_duplicate(row, int(block["rowid"][row - start]))

    def _add(self, items: list[SourceObject], done: Pass) -> None:
        if not items:
            return
        reasons = [self._domains.refusal(item.key) for item in items]
        for item, reason in zip(items, reasons, strict=True):
            if reason:
                event(logging.WARNING, "refused", key=item.key, bytes=item.size, reason=reason)
        for first in range(0, len(items), BATCH_ROWS):
            batch = slice(first, first + BATCH_ROWS)
            self._inventory.append(items[batch], reasons[batch])
        refused = sum(map(bool, reasons))
        done.added += len(items) - refused
        done.refused += refused
        self._read_new_rows(done)
        rows = self._known.find(digests_of(item.key for item in items))
        if (rows < 0).any():
            raise Unavailable(
                f"a row that was appended is not in {self._inventory.domain}; the next pass adds it again"
            )
        self._known.seen[rows] = True

    def _compare(self, index: int, item: SourceObject, fingerprint: int, done: Pass) -> None:
        known = self._known
        if known.vanished[index]:
            self._inventory.mark_vanished(index, int(known.rowids[index]), 0)
            known.vanished[index] = False
            done.returned += 1
            event(logging.INFO, "source is there again", key=item.key, row=index, bytes=item.size)
        if fingerprint == known.fingerprints[index]:
            return
        self._observer.alive()
        row = self._inventory.row(index)
        if row.source != item:  # else a loader has written the new version already
            version = max(row.version, int(known.versions[index])) + 1
            idle = self._inventory.source_changed(index, int(known.rowids[index]), item, version)
            known.versions[index] = version
            done.changed += 1
            outcome = "new" if idle else "in work"
            event(
                logging.INFO,
                "source changed",
                key=item.key,
                row=index,
                bytes=item.size,
                outcome=outcome,
                etag=item.etag,
            )
        known.fingerprints[index] = fingerprint

    def _flag_missing(self, done: Pass) -> None:
        known = self._known
        for index in np.flatnonzero(known.first & ~known.seen & ~known.vanished).tolist():
            self._observer.alive()
            key = self._inventory.row(index).filename
            if not self._source.wants(key):
                known.first[index] = False  # of another prefix or suffix: what this watcher lists says nothing about it
                continue
            self._flag(index, key, done)

    def _flag(self, index: int, key: str, done: Pass) -> None:
        self._inventory.mark_vanished(index, int(self._known.rowids[index]), int(time.time()))
        self._known.vanished[index] = True
        done.vanished += 1
        event(logging.WARNING, "source vanished", key=key, row=index)
