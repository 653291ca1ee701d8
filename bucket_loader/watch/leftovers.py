"""Deletes the roots that no domain names any more, when their readers have had the time to forget them.

Only what a row of the inventory names is deleted: what else lies in the bucket of HSDS may be anybody's. A root that
its domain still shows stays, whatever the row says.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

import numpy as np

from ..domains import Domains
from ..inventory import roots
from ..inventory.claims import Inventory
from ..inventory.model import Row
from ..inventory.roots import Replaced
from ..inventory.states import ACTIVE, State
from ..log import event
from ..storage.target import Target

SHORTEST_PAUSE = 60.0


@dataclass
class Deleted:
    """What one pass deleted."""

    roots: int = 0
    keys: int = 0


class Leftovers:
    """The roots that the rows of an inventory name, in the bucket of its domains. Not shared between threads."""

    def __init__(self, inventory: Inventory, target: Target, domains: Domains) -> None:
        self._inventory, self._target, self._domains = inventory, target, domains

    def delete(self, now: float | None = None) -> Deleted:
        """One pass over the table. Raises HsdsError, InventoryError, SourceError; what was done before it is right."""
        deleted, now = Deleted(), time.time() if now is None else now
        if not self._inventory.has_roots:
            return deleted
        for start, block in self._inventory.stream(["state", "cleanup"]):
            held = np.isin(block["state"], [int(state) for state in ACTIVE])
            due = (block["cleanup"] > 0) & (block["cleanup"] <= now) & ~held
            for offset in np.flatnonzero(due).tolist():
                self._clean(self._inventory.row(start + offset), now, deleted)
        return deleted

    def _clean(self, row: Row, now: float, deleted: Deleted) -> None:
        if row.state in ACTIVE:
            return
        live = self._target.root_of(self._domains.of(row.filename))
        named = roots.parse(row.oldroots)
        # one that a load was writing, which ended without a word; but not one that waits for its check
        named += [Replaced(row.newroot, row.cleanup)] if row.newroot and not row.unpublished else []
        kept = [one for one in named if one.due > now and one.root != live]
        for one in named:
            if one not in kept and one.root != live:
                keys = self._target.delete_root(one.root)
                deleted.roots, deleted.keys = deleted.roots + 1, deleted.keys + keys
                event(logging.INFO, "deleted what was replaced", key=row.filename, row=row.index, keys=keys)
        values = {
            "newroot": row.unpublished,
            "oldroots": roots.join(kept),
            "oldbytes": sum(self._target.size_of(one.root) for one in kept),
            "cleanup": roots.first_due(kept, row.unpublished),
        }
        forgotten = self._inventory.forget_roots(row, values)
        if forgotten and any(one.root == live and not one.in_service for one in roots.parse(row.oldroots)):
            # its worker had lost the row, and went on between two of its questions
            event(logging.WARNING, "a domain shows what was replaced: loaded again", key=row.filename, row=row.index)
            self._inventory.put_back(row, State.NEW)
