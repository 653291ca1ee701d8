"""Claiming rows and finishing them: a row is worked on by its claimer alone, until its lease runs out.

- A conditional update is atomic inside one chunk, but its row limit holds per chunk. A claim therefore names one chunk.
- The part of a chunk that a selection names is not honoured by a conditional update. The condition alone must pick the
  row: by a token that only its claimer has, or by the row's own id.
- An answer can be lost after the update was made. A claimer looks for its token; a finish is recognised as its own.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np

from ..config import Config
from ..hsds import Hsds, Unavailable, connect
from .chunk_search import ChunkSearch, Side
from .model import FRESH, UNCHECKED, Claim, Doing, Outcome, Row, ascii_line, new_token, source_values
from .states import ACTIVE, State, Work, check_move
from .table import Table

NEAR = 64  # chunks around the front in which claims of an earlier life are looked for
# the status of a row in work: who claims it after its worker died sees whether other files may have been the cause
IN_WORK, ALONE = -1, -2


class Inventory(Table):
    """The table as workers have it."""

    def __init__(self, hsds: Hsds, domain: str, table_id: str, dtype: np.dtype[np.void], chunk_rows: int) -> None:
        super().__init__(hsds, domain, table_id, dtype, chunk_rows)
        self._searches: dict[Work, ChunkSearch] = {}
        self._known_rows = 0  # how long the table was when it was last asked; a table only grows

    def _replaced(self) -> None:
        self._searches, self._known_rows = {}, 0  # the new one may be shorter

    def claim(
        self,
        work: Work,
        pod: str,
        lease: float,
        now: float | None = None,
        first: Mapping[str, Any] = MappingProxyType({}),
    ) -> Claim | None:
        """Take one row that waits for this work, or whose worker has gone silent; None when none was found.

        `first` are columns that go into a row that was never tried together with its claim, where the numbers among
        them are still 0. An attempt that was cut off beside other files does not count: one of them may have killed the
        worker. None does not prove that nothing is left: ask again after a pause.
        """
        now = time.time() if now is None else now
        search = self._search(work)
        if search.mine is not None:
            # as a rule one request: a row that was never tried is counted by the claim itself
            mine = search.mine
            claim = self._claim_in(mine, work, pod, lease, now, 0, first) or self._claim_in(mine, work, pod, lease, now)
            if claim is not None:
                return claim
            search.empty(mine)
        self._known_rows = self.count()
        search = self._search(work)  # a new one when the table is
        for chunk in search.chunks(-(-self._known_rows // self.chunk_rows), now):
            claim = self._claim_in(chunk, work, pod, lease, now)
            if claim is not None:
                search.found(chunk)
                return claim
            search.empty(chunk)
        return None

    def _search(self, work: Work) -> ChunkSearch:
        return self._searches.setdefault(work, ChunkSearch(partial(self._side, work)))

    def _side(self, work: Work, chunk: int) -> Side:
        """Where rows wait for this work, seen from a chunk: loads and checks both go through the table in its order."""
        rows = self.read(*self._bounds(chunk, self._known_rows), ["state", "notbefore", "lease"])
        now, state = time.time(), rows["state"]
        waiting = (state == work.ready) & (rows["notbefore"] <= now)
        if (waiting | ((state == work.active) & (rows["lease"] < now))).any():
            return Side.HERE
        # rows that were not yet through the work before this one are ahead of it
        return Side.AFTER if np.isin(state, work.through).any() else Side.BEFORE

    def _claim_in(
        self,
        chunk: int,
        work: Work,
        pod: str,
        lease: float,
        now: float,
        attempts: int | None = None,
        first: Mapping[str, Any] = MappingProxyType({}),
    ) -> Claim | None:
        """Claim a row of one chunk; with `attempts`, only one with so many, and 0 in the numbers of `first`."""
        total = self._known_rows
        ready, values = self._ready(work, pod, lease, now, attempts, first)
        token, won = values["token"], self._win(chunk, total, ready, values)
        if not won:
            return None
        # the server repeats a request to a data node that did not answer it, and may so have given two rows
        for row in won[1:]:
            back = {"state": int(work.ready)} | ({} if attempts is None else {work.column("attempts"): attempts})
            self._update_at(row.index, f"(token == {token}) & (rowid == {row.rowid})", back)
        if attempts is not None:
            return Claim(won[0], work, token, self.table_id, first=first)
        return self._counted(Claim(won[0], work, token, self.table_id))

    def _ready(
        self, work: Work, pod: str, lease: float, now: float, attempts: int | None, first: Mapping[str, Any]
    ) -> tuple[str, dict[str, Any]]:
        """The condition of a claim, and what it writes, a new token among it."""
        counter = work.column("attempts")
        ready = f"(state == {int(work.ready)}) & (notbefore <= {int(now)})"
        values: dict[str, Any] = {
            "state": int(work.active),
            "token": new_token(),
            "lease": int(now + lease),
            work.column("start"): int(now),
            work.column("done"): 0,
            work.column("podname"): ascii_line(pod, 253),
            **self._doing(""),
        }
        if attempts is None:
            ready = f"({ready}) | ((state == {int(work.active)}) & (lease < {int(now)}))"
        else:
            # one whose worker died, and that nobody has begun since, is not as new as it looks
            ready = f"({ready}) & ({counter} == {attempts}) & ({work.column('status')} >= 0)"
            # HSDS has no literal for an empty text
            ready += "".join(f" & ({name} == 0)" for name, value in first.items() if isinstance(value, int))
            values |= {counter: attempts + 1, work.column("status"): IN_WORK, **first}
        return ready, values

    def _win(self, chunk: int, total: int, ready: str, values: dict[str, Any]) -> list[Row]:
        """The rows that now hold the token among the values: one, as a rule, or none."""
        token = values["token"]
        try:
            changed = self._update(chunk, total, ready, values, limit=1, again=False)
            rows = [self.row(index) if row is None else self._decode(index, row) for index, row in changed]
            return [row for row in rows if row.token == token]  # one that is read anew may be another's already
        except Unavailable:
            # the answer is lost, the claim may have been made
            return self._find(chunk, total, token)

    def _counted(self, claim: Claim) -> Claim | None:
        """The claim, with its attempt in the row; None when another worker has it.

        It is counted when the work starts: a file that kills its worker must count, too.
        """
        # the status is as it was before: an active row has that of a worker that is gone
        status = int(getattr(claim.row, claim.work.column("status")))
        attempt = max(1, claim.attempt if status == IN_WORK else claim.attempt + 1)
        counted: dict[str, Any] = {claim.work.column("attempts"): attempt, claim.work.column("status"): IN_WORK}
        if not self._update_own(claim, counted):
            return None
        return replace(claim, row=replace(claim.row, **counted), taken_over=status in (IN_WORK, ALONE))

    def _find(self, chunk: int, total: int, token: int) -> list[Row]:
        """The rows of a chunk that hold a token, read without a condition."""
        start, stop = self._bounds(chunk, total)
        tokens = self.read(start, stop, ["token"])["token"]
        return [self.row(start + int(offset)) for offset in np.flatnonzero(tokens == token)]

    def renew(self, claim: Claim, lease: float, doing: Doing | None = None) -> bool:
        """Make a claim last `lease` more seconds, and say what is done; False when another worker has the row."""
        return self._update_own(
            claim, {"lease": int(time.time() + lease)} | (self._doing(doing.to_column()) if doing else {})
        )

    def note(self, claim: Claim, values: dict[str, Any]) -> Claim | None:
        """Write columns of a claimed row; the claim with them, None when another worker has the row."""
        return replace(claim, row=replace(claim.row, **values)) if self._update_own(claim, values) else None

    def finish(self, claim: Claim, outcome: Outcome) -> State | None:
        """Write what became of a claimed row. Returns the state that it got, None when another worker has the row.

        When the watcher saw a new version of the source meanwhile, the outcome is thrown away and the row is NEW.
        """
        check_move(claim.work.active, outcome.state)
        work, now = claim.work, int(time.time())
        values: dict[str, Any] = {work.column("status"): outcome.status}
        if outcome.state is work.ready:  # tried again: the attempts count on
            values |= {work.column("start"): 0, work.column("podname"): ""}
        elif outcome.state is State.NEW:
            values |= FRESH
        else:
            values[work.column("done")] = now
        if work.prefix == "load":
            values |= {"loadreason": ascii_line(outcome.reason), "loadmode": outcome.mode}
            if self.has_roots:
                values["loadengine"] = outcome.engine
            if outcome.source:
                values |= source_values(outcome.source)
            if outcome.state is State.LOADED:
                values |= UNCHECKED | {"loadversion": claim.row.version}
        else:
            values["diffresult"] = ascii_line(outcome.reason)
        if self.has_roots:
            values |= outcome.columns
        values["notbefore"] = int(now + outcome.wait) if outcome.wait else 0
        if outcome.state is work.ready and work in self._searches:
            self._searches[work].expect(claim.row.index // self.chunk_rows, values["notbefore"])
        return self._hand_over(claim, outcome.state, values)

    def release(self, claim: Claim) -> State | None:
        """Give a row back as it was before the claim: nothing was wrong with it. Returns like `finish`.

        One whose worker died before this claim stays one: it has still to be tried alone.
        """
        work = claim.work
        values = {
            work.column("start"): 0,
            work.column("status"): ALONE if claim.taken_over else 0,
            work.column("podname"): "",
            work.column("attempts"): claim.attempt - 1,
        }
        return self._hand_over(claim, work.ready, values)

    def _hand_over(self, claim: Claim, state: State, values: dict[str, Any]) -> State | None:
        values |= {"state": int(state), "lease": 0, **self._doing("")}
        if self._update_own(claim, values, f"version == {claim.row.version}"):
            return state
        if claim.table_id != self.table_id:
            return None
        row = self.row(claim.row.index)
        if row.token == claim.token and row.state not in ACTIVE:
            return row.state  # made by a try whose answer was lost
        if row.token == claim.token and self._update_own(claim, {"state": int(State.NEW)} | FRESH):
            return State.NEW
        return None

    def _update_own(self, claim: Claim, values: dict[str, Any], condition: str = "") -> bool:
        """Change a claimed row; False when another worker has it, or another table is in the place of its own."""
        if claim.table_id != self.table_id:
            return False
        owned = f"(token == {claim.token}) & (state == {int(claim.work.active)})"
        return self._update_at(claim.row.index, f"{owned} & ({condition})" if condition else owned, values)

    def forget_claims(self, work: Work, pod: str) -> int:
        """Let the claims of an earlier life of this pod run out at once; returns how many there were.

        To be called before the pod claims anything itself.
        """
        if not re.fullmatch(r"[\w./-]+", pod, re.ASCII):
            return 0  # such a name cannot go into a condition; its leases run out by themselves
        total, found = self.count(), 0
        self._known_rows = total
        chunks = range(-(-total // self.chunk_rows))
        if len(chunks) > NEAR:
            # of a long table, those around the front; a claim far from it runs out by itself
            front = ChunkSearch(partial(self._side, work)).front(len(chunks))
            chunks = chunks[max(0, front - NEAR // 2) : front + NEAR // 2]
        mine = f"(state == {int(work.active)}) & (lease > 0) & ({work.column('podname')} == b'{pod}')"
        for chunk in chunks:
            found += len(self._update(chunk, total, mine, {"lease": 0}, limit=self.chunk_rows, again=True))
        return found

    def mark_alone(self, claim: Claim) -> bool:
        """Note that no other file is in work beside this one; False when another worker has the row."""
        return self._update_own(claim, {claim.work.column("status"): ALONE})

    def has_token(self, claim: Claim) -> bool:
        """Whether a claim's token is in its row still: also after its finish, until somebody else changes the state."""
        return claim.table_id == self.table_id and self.row(claim.row.index).token == claim.token


def open_inventory(settings: Config) -> Inventory:
    """The inventory that workers, the watcher and operators write to. Raises InventoryError, Unavailable."""
    hsds = connect(settings)
    hsds.expect_ready()
    return Inventory.open(hsds, settings.inventory_domain)
