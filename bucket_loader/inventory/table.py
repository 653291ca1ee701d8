"""The inventory: one table in an HSDS domain, a row per source file. Only this module knows its columns and queries.

What HSDS gives, and what follows (measurements in docs/measured.md):

- A conditional update is atomic inside one chunk, but its row limit holds per chunk. A claim therefore names one chunk.
- The part of a chunk that a selection names is not honoured by a conditional update. The condition alone must pick the
  row: by a token that only its claimer has, or by the row's own id.
- An answer can be lost after the update was made. A claimer looks for its token; a finish is recognised as its own.
- Conditions are text, and numbers in it become 64-bit floats: tokens and ids have 52 bits. Keys never go in.
- Text in an update must be ASCII, and text that is not UTF-8 makes a row unreadable: see `_ascii`.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

import h5pyd
import numpy as np
import numpy.typing as npt

from ..hsds import Hsds, HsdsError, LoginRefused, NotFound, Unavailable
from ..prefetch import in_order
from ..s3 import SourceObject
from .chunk_search import Hunt, Side
from .states import ACTIVE, State, Work, check_move

TABLE = "inventory"
MAX_KEY_BYTES = 1024  # S3's own limit
REASON_BYTES = 256

# the columns of 2021 first, by their names; times are epoch seconds
COLUMNS = np.dtype(
    [
        ("filename", f"S{MAX_KEY_BYTES}"),
        ("loadstart", "i8"),
        ("loaddone", "i8"),
        ("loadstatus", "i4"),  # exit status of hsload; IN_WORK or ALONE while it runs
        ("loadpodname", "S253"),  # the longest name that Kubernetes gives
        ("diffstart", "i8"),
        ("diffdone", "i8"),
        ("diffstatus", "i4"),
        ("diffpodname", "S253"),
        ("diffresult", f"S{REASON_BYTES}"),  # PASSED, or the first difference
        ("state", "i4"),
        ("loadattempts", "i4"),
        ("diffattempts", "i4"),
        ("loadreason", f"S{REASON_BYTES}"),  # why the last load failed
        ("loadmode", "S8"),  # link or ingest: what was really done
        ("token", "i8"),  # of the last claim
        ("lease", "i8"),  # an active row's claim is void after this time
        ("notbefore", "i8"),  # not to be claimed before this time
        ("size", "i8"),  # of the source object, in bytes
        ("etag", "S64"),
        ("modified", "i8"),
        ("version", "i8"),  # counts the changes of the source that the watcher saw
        ("loadversion", "i8"),  # the version that the domain was loaded from
        ("vanished", "i8"),  # when the source was first missed; 0: it is there
        ("added", "i8"),
        ("keyhash", "S32"),  # what the watcher knows a key by: 32 bytes where the name takes 1,024
        ("rowid", "i8"),  # random; picks one row in a condition
    ]
)
# 4.2 MB, just below the 4 MiB above which HSDS makes chunks smaller by itself: a chunk costs a data node 20 ms whenever
# it comes from storage, whatever its size, and a table of fewer chunks is claimed from and read in less time
CHUNK_ROWS = 1792
READ_ROWS = 4 * CHUNK_ROWS
READERS = 4  # requests under way at once while the whole table is read
# the status of a row in work: who claims it after its worker died sees whether other files may have been the cause
IN_WORK, ALONE = -1, -2
NEAR = 64  # chunks around the front in which claims of an earlier life are looked for

Rows = npt.NDArray[np.void]


# parts of conditions: no worker has the row, one has it
_IDLE = " & ".join(f"(state != {int(state)})" for state in sorted(ACTIVE))
_HELD = " | ".join(f"(state == {int(state)})" for state in sorted(ACTIVE))


class InventoryError(Exception):
    """The inventory cannot be used."""


@dataclass(frozen=True)
class Row:
    """One row, decoded. `index` is its place in the table; the other names are the columns'."""

    index: int
    filename: str
    state: State
    loadstart: int
    loaddone: int
    loadstatus: int
    loadpodname: str
    diffstart: int
    diffdone: int
    diffstatus: int
    diffpodname: str
    diffresult: str
    loadattempts: int = 0
    diffattempts: int = 0
    loadreason: str = ""
    loadmode: str = ""
    token: int = 0
    lease: int = 0
    notbefore: int = 0
    size: int = 0
    etag: str = ""
    modified: int = 0
    version: int = 0
    loadversion: int = 0
    vanished: int = 0
    added: int = 0
    keyhash: str = ""
    rowid: int = 0

    @property
    def source(self) -> SourceObject:
        return SourceObject(self.filename, self.size, self.etag, self.modified)


@dataclass(frozen=True)
class Claim:
    """The right to work on one row until its lease runs out. `row` is the row as it was claimed.

    `taken_over`: its last worker died, or lost it.
    """

    row: Row
    work: Work
    token: int
    table_id: str
    taken_over: bool = False

    @property
    def attempt(self) -> int:
        return int(getattr(self.row, self.work.column("attempts")))


@dataclass(frozen=True)
class Outcome:
    """What the holder of a row found: the state it goes to, the tool's exit status, and the reason in one line."""

    state: State
    status: int = 0
    reason: str = ""
    mode: str = ""
    source: SourceObject | None = None
    wait: float = 0.0  # seconds until the row may be claimed again


def key_digest(key: str) -> bytes:
    """What a key is known by: 128 bits, so that a million keys do not collide by chance."""
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def new_token() -> int:
    return secrets.randbits(51) + 1


def _ascii(text: str, size: int = REASON_BYTES) -> str:
    """One line of ASCII that fits a column: HSDS answers 400 to other text in an update, and cuts in mid-character."""
    line = " ".join(text.split()).encode("ascii", "backslashreplace").decode()
    return line if len(line) <= size else line[: size - 3] + "..."


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def decode(index: int, values: Any, names: Sequence[str]) -> Row:
    """A row from its values, in the order of `names`. Columns of the inventories of 2021 suffice; the state follows."""
    found: dict[str, Any] = {}
    for name, value in zip(names, values, strict=True):
        if name in Row.__dataclass_fields__:
            found[name] = _text(value) if isinstance(value, bytes | str) else int(value)
    found["state"] = State(found["state"]) if "state" in found else _state_of_2021(found)
    return Row(index=index, **found)


def _state_of_2021(row: dict[str, Any]) -> State:
    """The state of a row in an inventory that has no such column."""
    if not row["filename"]:
        return State.BLANK
    if not row["loadstart"]:
        return State.NEW
    if not row["loaddone"]:
        return State.LOADING
    if row["loadstatus"]:
        return State.LOAD_FAILED
    if not row["diffstart"]:
        return State.LOADED
    if not row["diffdone"]:
        return State.CHECKING
    return State.CHECK_FAILED if row["diffstatus"] else State.VERIFIED


class Inventory:
    """An open inventory. Not shared between threads: `clone()` gives another thread its own."""

    def __init__(self, hsds: Hsds, domain: str, table_id: str, dtype: np.dtype[np.void], chunk_rows: int) -> None:
        self._hsds, self.domain, self.dtype, self.chunk_rows = hsds, domain, dtype, chunk_rows
        self.table_id = table_id
        self._names = cast("tuple[str, ...]", dtype.names)
        self._hunts: dict[Work, Hunt] = {}
        self._known_rows = 0  # how long the table was when it was last asked; a table only grows

    def clone(self, hsds: Hsds | None = None) -> Inventory:
        return Inventory(hsds or self._hsds.clone(), self.domain, self.table_id, self.dtype, self.chunk_rows)

    def with_time_limit(self, seconds: float) -> Inventory:
        """For another thread: a request of it is over within so many seconds, and is not repeated."""
        return self.clone(self._hsds.with_time_limit(seconds))

    @property
    def _value(self) -> str:
        return f"/datasets/{self.table_id}/value"

    def _reopen(self) -> None:
        """Go on with the table that is there now: somebody may have replaced the inventory."""
        now = Inventory.open(self._hsds, self.domain)
        if now.table_id != self.table_id:
            self._hunts, self._known_rows = {}, 0  # the new one may be shorter
        self.table_id, self.dtype, self.chunk_rows = now.table_id, now.dtype, now.chunk_rows

    # -- making and opening -------------------------------------------------------------------------------------------

    @classmethod
    def create(cls, hsds: Hsds, domain: str, public: bool, replace_old: bool = False) -> Inventory:
        """Make an empty inventory. Raises InventoryError where there is one already, unless `replace_old`."""
        folder = domain.rpartition("/")[0] + "/"
        try:
            if not hsds.exists(folder):
                raise InventoryError(
                    f"there is no folder {folder} on {hsds.endpoint}: make it with 'hstouch {folder}', or change "
                    "inventory_domain"
                )
            if not replace_old and hsds.exists(domain):
                raise InventoryError(f"{domain} is there already; --force replaces it and forgets its rows")
            mode = "w" if replace_old else "x"
            with _file(hsds, domain, mode) as file:
                file.create_dataset(
                    TABLE,
                    shape=(0,),
                    maxshape=(None,),
                    dtype=COLUMNS,
                    chunks=(CHUNK_ROWS,),
                    # names are mostly zeros: a chunk is a tenth of its size when it goes to storage each second. lz4
                    # would cost a tenth of gzip's CPU, and hsget could not write the inventory to a file
                    compression="gzip",
                    compression_opts=1,
                )
            if public:
                hsds.make_public(domain)
            hsds.flush(domain)
        except HsdsError as error:
            raise InventoryError(f"cannot make {domain}: {error}") from error
        except OSError as error:
            raise InventoryError(f"cannot make {domain} on {hsds.endpoint}: {error}") from error
        return cls.open(hsds, domain)

    @classmethod
    def open(cls, hsds: Hsds, domain: str, any_columns: bool = False) -> Inventory:
        """Open an inventory; `any_columns` takes those of other versions, too, to be read only.

        Raises InventoryError when it is not there or has other columns, Unavailable when HSDS does not answer.
        """
        try:
            if hsds.root_of(domain) is None:
                raise InventoryError(
                    f"there is no inventory {domain} on {hsds.endpoint}: make one with make_inventory.py"
                )
            with _file(hsds, domain, "r") as file:
                if TABLE not in file:
                    raise InventoryError(f"{domain} is no inventory: it has no table {TABLE!r}")
                table = file[TABLE]
                dtype, table_id, chunks = table.dtype, table.id.id, table.chunks
        except LoginRefused as error:
            raise InventoryError(f"cannot read the inventory: {error}") from error
        except OSError as error:
            raise Unavailable(f"the inventory {domain} on {hsds.endpoint} cannot be opened: {error}") from error
        missing = [name for name in cast("tuple[str, ...]", COLUMNS.names) if name not in (dtype.names or ())]
        if missing and not any_columns:
            raise InventoryError(
                f"{domain} was made by another version (it has no column {missing[0]!r}): make a new one, "
                "dump_inventory.py still shows this one"
            )
        return cls(hsds, domain, table_id, dtype, int(chunks[0]))

    # -- reading ------------------------------------------------------------------------------------------------------

    def count(self) -> int:
        """How many rows the table has now, blank ones with them."""
        try:
            answer = self._hsds.request("GET", f"/datasets/{self.table_id}/shape", self.domain)
        except NotFound:
            self._reopen()
            answer = self._hsds.request("GET", f"/datasets/{self.table_id}/shape", self.domain)
        with self._hsds.understood():
            return int(answer.json()["shape"]["dims"][0])

    def read(self, start: int, stop: int, columns: Sequence[str] | None = None) -> Rows:
        """Rows start to stop (exclusive) as an array of shape (stop - start,), with some or all columns."""
        if stop <= start:
            return np.zeros(0, self._dtype_of(columns))
        params = {"select": f"[{start}:{stop}]"}
        if columns is not None:
            params["fields"] = ":".join(columns)
        answer = self._hsds.request("GET", self._value, self.domain, params=params, binary=True)
        dtype = self._dtype_of(columns)
        if len(answer.content) != (stop - start) * dtype.itemsize:
            raise Unavailable(f"{self.domain}: HSDS cut its answer short ({len(answer.content)} bytes)")
        return np.frombuffer(answer.content, dtype)

    def _dtype_of(self, columns: Sequence[str] | None) -> np.dtype[np.void]:
        if columns is None:
            return self.dtype
        return np.dtype([(name, self.dtype[name]) for name in columns])

    def stream(self, columns: Sequence[str] | None = None, start: int = 0) -> Iterator[tuple[int, Rows]]:
        """The whole table from `start` on, as (index of the first row, rows), some thousand rows at a time, in order.

        Some requests are on their way at once: what takes long is that HSDS gets chunks from storage.
        """
        total = self.count()
        begins = range(start, total, READ_ROWS)

        def read(reader: Inventory, begin: int) -> tuple[int, Rows]:
            return begin, reader.read(begin, min(begin + READ_ROWS, total), columns)

        return in_order(begins, [partial(read, self.clone()) for _ in range(min(READERS, len(begins)) or 1)])

    def rows(self) -> Iterator[Row]:
        """Every row of a source file; blank ones and duplicates are left out."""
        for start, block in self.stream():
            for offset, values in enumerate(block):
                row = decode(start + offset, values.item(), self._names)
                if row.state not in (State.BLANK, State.DUPLICATE):
                    yield row

    def counts(self) -> dict[State, int]:
        """How many rows are in each state; reads 4 bytes per row."""
        counts = dict.fromkeys(State, 0)
        for _, block in self.stream(["state"]):
            for state, number in zip(*np.unique(block["state"], return_counts=True), strict=True):
                counts[State(int(state))] += int(number)
        return counts

    def row(self, index: int) -> Row:
        return decode(index, self.read(index, index + 1)[0].item(), self._names)

    # -- claiming and finishing ---------------------------------------------------------------------------------------

    def claim(self, work: Work, pod: str, lease: float, now: float | None = None) -> Claim | None:
        """Take one row that waits for this work, or whose worker has gone silent; None when none was found.

        An attempt that was cut off beside other files does not count: one of them may have killed the worker. None does
        not prove that nothing is left: ask again after a pause.
        """
        now = time.time() if now is None else now
        hunt = self._hunt(work)
        if hunt.mine is not None:
            # as a rule one request: a row that was never tried is counted by the claim itself
            mine = hunt.mine
            claim = self._claim_in(mine, work, pod, lease, now, attempts=0) or self._claim_in(
                mine, work, pod, lease, now
            )
            if claim is not None:
                return claim
            hunt.empty(mine)
        self._known_rows = self.count()
        hunt = self._hunt(work)  # a new one when the table is
        for chunk in hunt.chunks(-(-self._known_rows // self.chunk_rows), now):
            claim = self._claim_in(chunk, work, pod, lease, now)
            if claim is not None:
                hunt.found(chunk)
                return claim
            hunt.empty(chunk)
        return None

    def _hunt(self, work: Work) -> Hunt:
        return self._hunts.setdefault(work, Hunt(partial(self._side, work)))

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
        self, chunk: int, work: Work, pod: str, lease: float, now: float, attempts: int | None = None
    ) -> Claim | None:
        """Claim a row of one chunk; with `attempts`, only one with so many."""
        token, total = new_token(), self._known_rows
        counter = work.column("attempts")
        ready = f"(state == {int(work.ready)}) & (notbefore <= {int(now)})"
        values: dict[str, Any] = {
            "state": int(work.active),
            "token": token,
            "lease": int(now + lease),
            work.column("start"): int(now),
            work.column("done"): 0,
            work.column("podname"): _ascii(pod, 253),
        }
        if attempts is None:
            ready = f"({ready}) | ((state == {int(work.active)}) & (lease < {int(now)}))"
        else:
            ready = f"({ready}) & ({counter} == {attempts})"
            values |= {counter: attempts + 1, work.column("status"): IN_WORK}
        try:
            won = self._update(chunk, total, ready, values, limit=1, again=False)
        except Unavailable:
            # the answer is lost, the claim may have been made
            won = self._find(chunk, total, token)
        if not won:
            return None
        # the server repeats a request to a data node that did not answer it, and may so have given two rows
        if len(won) > 1:
            won, others = won[:1], won[1:]
            for row in others:
                back = {"state": int(work.ready)} | ({} if attempts is None else {counter: attempts})
                self._update_at(row.index, f"(token == {token}) & (rowid == {row.rowid})", back)
        if attempts is not None:
            return Claim(won[0], work, token, self.table_id)
        # the status is as it was before: an active row has that of a worker that is gone
        status = int(getattr(won[0], work.column("status")))
        claim = Claim(won[0], work, token, self.table_id, taken_over=status in (IN_WORK, ALONE))
        # counted when the work starts: a file that kills its worker must count, too
        attempt = max(1, claim.attempt if status == IN_WORK else claim.attempt + 1)
        counted: dict[str, Any] = {counter: attempt, work.column("status"): IN_WORK}
        if not self._update_own(claim, counted):
            return None
        return replace(claim, row=replace(claim.row, **counted))

    def mark_alone(self, claim: Claim) -> bool:
        """Note that no other file is in work beside this one; False when another worker has the row."""
        return self._update_own(claim, {claim.work.column("status"): ALONE})

    def _find(self, chunk: int, total: int, token: int) -> list[Row]:
        """The rows of a chunk that hold a token, read without a condition."""
        start, stop = self._bounds(chunk, total)
        tokens = self.read(start, stop, ["token"])["token"]
        return [self.row(start + int(offset)) for offset in np.flatnonzero(tokens == token)]

    def renew(self, claim: Claim, lease: float) -> bool:
        """Make a claim last `lease` more seconds; False when another worker has the row."""
        return self._update_own(claim, {"lease": int(time.time() + lease)})

    def has_token(self, claim: Claim) -> bool:
        """Whether a claim's token is in its row still: also after its finish, until somebody else changes the state."""
        return claim.table_id == self.table_id and self.row(claim.row.index).token == claim.token

    def finish(self, claim: Claim, outcome: Outcome) -> State | None:
        """Write what became of a claimed row. Returns the state that it got, None when another worker has the row.

        When the watcher saw a new version of the source meanwhile, the outcome is thrown away and the row is NEW.
        """
        check_move(claim.work.active, outcome.state)
        work, now = claim.work, int(time.time())
        values: dict[str, Any] = {work.column("status"): outcome.status}
        if outcome.state is work.ready:  # to be tried again: the attempts count on
            values |= {work.column("start"): 0, work.column("podname"): ""}
        elif outcome.state is State.NEW:
            values |= _FRESH
        else:
            values[work.column("done")] = now
        if work.prefix == "load":
            values |= {"loadreason": _ascii(outcome.reason), "loadmode": outcome.mode}
            if outcome.source:
                values |= _source_values(outcome.source)
            if outcome.state is State.LOADED:
                values |= _UNCHECKED | {"loadversion": claim.row.version}
        else:
            values["diffresult"] = _ascii(outcome.reason)
        values["notbefore"] = int(now + outcome.wait) if outcome.wait else 0
        if outcome.state is work.ready and work in self._hunts:
            self._hunts[work].expect(claim.row.index // self.chunk_rows, values["notbefore"])
        return self._hand_over(claim, outcome.state, values)

    def release(self, claim: Claim) -> State | None:
        """Give a row back as it was before the claim: nothing was wrong with it. Returns like `finish`."""
        work = claim.work
        values = {
            work.column("start"): 0,
            work.column("status"): 0,
            work.column("podname"): "",
            work.column("attempts"): claim.attempt - 1,
        }
        return self._hand_over(claim, work.ready, values)

    def _hand_over(self, claim: Claim, state: State, values: dict[str, Any]) -> State | None:
        values |= {"state": int(state), "lease": 0}
        if self._update_own(claim, values, f"version == {claim.row.version}"):
            return state
        if claim.table_id != self.table_id:
            return None
        row = self.row(claim.row.index)
        if row.token == claim.token and row.state not in ACTIVE:
            return row.state  # made by a try whose answer was lost
        if row.token == claim.token and self._update_own(claim, {"state": int(State.NEW)} | _FRESH):
            return State.NEW
        return None

    def _update_own(self, claim: Claim, values: dict[str, Any], condition: str = "") -> bool:
        """Change a claimed row; False when another worker has it, or another table is in the place of its own."""
        if claim.table_id != self.table_id:
            return False
        owned = f"(token == {claim.token}) & (state == {int(claim.work.active)})"
        return self._update_at(claim.row.index, f"{owned} & ({condition})" if condition else owned, values)

    # -- the watcher's part -------------------------------------------------------------------------------------------

    def append(self, objects: Sequence[SourceObject], reasons: Sequence[str] | None = None) -> None:
        """Add rows for new source objects; one with a reason is recorded as failed. Raises Unavailable.

        Not repeated when the answer is lost: who calls it must look what was added.
        """
        rows = np.zeros(len(objects), self.dtype)
        now = int(time.time())
        for row, item, reason in zip(rows, objects, reasons or [""] * len(objects), strict=True):
            row["filename"] = item.key.encode()[:MAX_KEY_BYTES]
            row["keyhash"] = key_digest(item.key).hex().encode()
            row["rowid"] = new_token()
            row["added"] = now
            row["size"], row["modified"], row["etag"] = item.size, item.modified, _ascii(item.etag, 64).encode()
            row["state"] = State.LOAD_FAILED if reason else State.NEW
            if reason:
                row["loadstart"] = row["loaddone"] = now
                row["loadstatus"] = 1
                row["loadreason"] = _ascii(reason).encode()
        params = {"append": len(rows)}
        self._hsds.request("PUT", self._value, self.domain, params=params, data=rows.tobytes(), again=False)

    def source_changed(self, index: int, rowid: int, item: SourceObject, version: int) -> bool:
        """Record a new version of a source. Returns True when its row is NEW at once, False when a worker holds it.

        The worker's finish is conditional on the version that it claimed: it will make the row NEW.
        """
        values: dict[str, Any] = _source_values(item) | {"version": version, "vanished": 0}
        mine = f"(rowid == {rowid})"
        while True:
            fresh = values | {"state": int(State.NEW)} | _FRESH
            if self._update_at(index, f"{mine} & {_IDLE}", fresh):
                return True
            if self._update_at(index, f"{mine} & ({_HELD})", values):
                return False
            if int(self.read(index, index + 1, ["rowid"])["rowid"][0]) != rowid:
                raise InventoryError(f"{self.domain}: row {index} is not the row that it was; was the table replaced?")

    def drop_duplicate(self, index: int, rowid: int) -> bool:
        """Take a further row of a key out of the way; False while a worker holds it."""
        return self._update_at(index, f"(rowid == {rowid}) & {_IDLE}", {"state": int(State.DUPLICATE)})

    def mark_vanished(self, index: int, rowid: int, when: int) -> None:
        """Flag a row whose source is gone (`when`, epoch seconds) or is there again (0). The row stays."""
        self._update_at(index, f"rowid == {rowid}", {"vanished": when})

    def put_back(self, row: Row, state: State) -> bool:
        """Make a row NEW or LOADED at an operator's word; False when it is no longer as it was read.

        A worker that holds it loses it: the token goes.
        """
        values: dict[str, Any] = _FRESH if state is State.NEW else _UNCHECKED | {"notbefore": 0, "lease": 0}
        same = f"(rowid == {row.rowid}) & (state == {int(row.state)}) & (token == {row.token})"
        return self._update_at(row.index, same, values | {"state": int(state), "token": new_token()})

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
            front = Hunt(partial(self._side, work)).front(len(chunks))
            chunks = chunks[max(0, front - NEAR // 2) : front + NEAR // 2]
        mine = f"(state == {int(work.active)}) & (lease > 0) & ({work.column('podname')} == b'{pod}')"
        for chunk in chunks:
            found += len(self._update(chunk, total, mine, {"lease": 0}, limit=self.chunk_rows, again=True))
        return found

    def flush(self) -> None:
        """Return when every row that was written is in storage."""
        self._hsds.flush(self.domain)

    # -- requests -----------------------------------------------------------------------------------------------------

    def _bounds(self, chunk: int, total: int) -> tuple[int, int]:
        start = chunk * self.chunk_rows
        return start, min(start + self.chunk_rows, total)

    def _update(
        self, chunk: int, total: int, condition: str, values: dict[str, Any], limit: int, again: bool
    ) -> list[Row]:
        """Change up to `limit` rows of one chunk that fulfil a condition; returns them as they are afterwards."""
        start, stop = self._bounds(chunk, total)
        if stop <= start:
            return []
        params = {"query": condition, "Limit": limit, "select": f"[{start}:{stop}]"}
        try:
            answer = self._hsds.request("PUT", self._value, self.domain, params=params, json_body=values, again=again)
        except NotFound:
            # no such chunk in storage yet, because its rows are being appended; or there is another table now
            self._reopen()
            return []
        names = ("index", *self._names)
        with self._hsds.understood():
            return [decode(int(values[0]), values[1:], names[1:]) for values in answer.json()["value"]]

    def _update_at(self, index: int, condition: str, values: dict[str, Any]) -> bool:
        # a selection that ends with the row is enough to name its chunk
        return bool(self._update(index // self.chunk_rows, index + 1, condition, values, limit=1, again=True))


# a row whose load starts from nothing
_FRESH: dict[str, Any] = {
    "loadstart": 0,
    "loaddone": 0,
    "loadstatus": 0,
    "loadattempts": 0,
    "diffstart": 0,
    "diffdone": 0,
    "diffstatus": 0,
    "diffattempts": 0,
    "diffresult": "",
    "notbefore": 0,
    "lease": 0,
}
_UNCHECKED = {key: value for key, value in _FRESH.items() if key.startswith("diff")}


def _source_values(item: SourceObject) -> dict[str, Any]:
    return {"size": item.size, "etag": _ascii(item.etag, 64), "modified": item.modified}


def _file(hsds: Hsds, domain: str, mode: str) -> Any:
    """The domain through h5pyd, whose error text names neither the server nor the user: callers add them."""
    return h5pyd.File(
        domain,
        mode,
        endpoint=hsds.endpoint,
        username=hsds.username,
        password=hsds.password,
        bucket=hsds.bucket,
        use_cache=False,
        retries=3,
        timeout=60,
    )
