"""The inventory's table in HSDS: made, opened, read, and changed by the watcher and the operator.

What HSDS gives, and what follows (measurements in docs/measured.md): conditions are text, and numbers in it become
64-bit floats, so that tokens and ids have 52 bits. Keys never go in. Text in an update must be ASCII, and text that is
not UTF-8 makes a row unreadable: see `ascii_line`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, TypeVar, cast

import h5pyd
import numpy as np

from ..errors import OperatorError
from ..hsds import Hsds, HsdsError, LoginRefused, NotFound, Unavailable
from ..prefetch import in_order
from ..s3 import SourceObject
from .model import (
    COLUMNS,
    FRESH,
    LATER_COLUMNS,
    MAX_KEY_BYTES,
    ROOT_COLUMNS,
    UNCHECKED,
    Row,
    Rows,
    ascii_line,
    decode,
    key_digest,
    new_token,
    source_values,
)
from .states import ACTIVE, OF_FILES, State

TABLE = "inventory"
# just below the 4 MiB above which HSDS makes chunks smaller by itself: a chunk costs a data node 20 ms whenever it
# comes from storage, whatever its size, and a table of fewer chunks is claimed from and read in less time
CHUNK_ROWS = (4 << 20) // COLUMNS.itemsize
READ_ROWS = 4 * CHUNK_ROWS
READERS = 4  # requests under way at once while the whole table is read
# parts of conditions: no worker has the row, one has it
_IDLE = " & ".join(f"(state != {int(state)})" for state in sorted(ACTIVE))
_HELD = " | ".join(f"(state == {int(state)})" for state in sorted(ACTIVE))


T = TypeVar("T", bound="Table")


class InventoryError(OperatorError):
    """The inventory cannot be used."""


class Table:
    """An open inventory. Not shared between threads: `clone()` gives another thread its own."""

    def __init__(self, hsds: Hsds, domain: str, table_id: str, dtype: np.dtype[np.void], chunk_rows: int) -> None:
        self._hsds, self.domain, self.dtype, self.chunk_rows = hsds, domain, dtype, chunk_rows
        self.table_id = table_id
        self._names = cast("tuple[str, ...]", dtype.names)

    def clone(self: T, hsds: Hsds | None = None) -> T:
        return type(self)(hsds or self._hsds.clone(), self.domain, self.table_id, self.dtype, self.chunk_rows)

    def with_time_limit(self: T, seconds: float) -> T:
        """For another thread: a request of it is over within so many seconds, and is not repeated."""
        return self.clone(self._hsds.with_time_limit(seconds))

    @property
    def has_roots(self) -> bool:
        """Whether rows can name the roots of domains, which a load without HSDS wants."""
        return set(ROOT_COLUMNS) <= set(self._names)

    def _doing(self, text: str) -> dict[str, Any]:
        """What the worker of a row is at, where the table has a column for it."""
        return {"doing": ascii_line(text, 48)} if "doing" in self._names else {}

    @property
    def _value(self) -> str:
        return f"/datasets/{self.table_id}/value"

    def _reopen(self) -> None:
        """Go on with the table that is there now: somebody may have replaced the inventory."""
        now = type(self).open(self._hsds, self.domain)
        if now.table_id != self.table_id:
            self._replaced()
        self.table_id, self.dtype, self.chunk_rows, self._names = now.table_id, now.dtype, now.chunk_rows, now._names

    def _replaced(self) -> None:
        """Another table is in the place of this one: forget what was known of it."""

    @classmethod
    def create(cls: type[T], hsds: Hsds, domain: str, public: bool, replace_old: bool = False) -> T:
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
    def open(cls: type[T], hsds: Hsds, domain: str, any_columns: bool = False) -> T:
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
        wanted = [name for name in cast("tuple[str, ...]", COLUMNS.names) if name not in LATER_COLUMNS]
        missing = [name for name in wanted if name not in (dtype.names or ())]
        if missing and not any_columns:
            raise InventoryError(
                f"{domain} was made by another version (it has no column {missing[0]!r}): make a new one, "
                "dump_inventory.py still shows this one"
            )
        return cls(hsds, domain, table_id, dtype, int(chunks[0]))

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
        if len(answer.content) == (stop - start) * self.dtype.itemsize:
            return np.frombuffer(answer.content, self.dtype)  # also where HSDS 0.8 was asked for some columns
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

        def read(reader: Table, begin: int) -> tuple[int, Rows]:
            return begin, reader.read(begin, min(begin + READ_ROWS, total), columns)

        return in_order(begins, [partial(read, self.clone()) for _ in range(min(READERS, len(begins)) or 1)])

    def at(self, place: int) -> tuple[str, int]:
        """Where a report finds the row at a place: this inventory's domain, and the index."""
        return self.domain, place

    def rows(self) -> Iterator[Row]:
        """Every row of a source file; blank ones and duplicates are left out."""
        for start, block in self.stream():
            for offset, values in enumerate(block):
                row = decode(start + offset, values.item(), self._names, self.domain)
                if row.state in OF_FILES:
                    yield row

    def counts(self) -> dict[State, int]:
        """How many rows are in each state; reads 4 bytes per row."""
        counts = dict.fromkeys(State, 0)
        for _, block in self.stream(["state"]):
            for state, number in zip(*np.unique(block["state"], return_counts=True), strict=True):
                counts[State(int(state))] += int(number)
        return counts

    def row(self, index: int) -> Row:
        return self._decode(index, self.read(index, index + 1)[0].item())

    def append(self, objects: Sequence[SourceObject], reasons: Sequence[str] | None = None) -> None:
        """Add rows for new source objects; one with a reason is recorded as failed. Raises Unavailable.

        Not repeated when the answer is lost: its caller must read back what was added.
        """
        rows = np.zeros(len(objects), self.dtype)
        now = int(time.time())
        for row, item, reason in zip(rows, objects, reasons or [""] * len(objects), strict=True):
            row["filename"] = item.key.encode()[:MAX_KEY_BYTES]
            row["keyhash"] = key_digest(item.key).hex().encode()
            row["rowid"] = new_token()
            row["added"] = now
            row["size"], row["modified"], row["etag"] = item.size, item.modified, ascii_line(item.etag, 64).encode()
            row["state"] = State.LOAD_FAILED if reason else State.NEW
            if reason:
                row["loadstart"] = row["loaddone"] = now
                row["loadstatus"] = 1
                row["loadreason"] = ascii_line(reason).encode()
        params = {"append": len(rows)}
        self._hsds.request("PUT", self._value, self.domain, params=params, data=rows.tobytes(), again=False)

    def source_changed(self, index: int, rowid: int, item: SourceObject, version: int) -> bool:
        """Record a new version of a source. Returns True when its row is NEW at once, False when a worker holds it.

        The worker's finish is conditional on the version that it claimed: it will make the row NEW.
        """
        values: dict[str, Any] = source_values(item) | {"version": version, "vanished": 0}
        mine = f"(rowid == {rowid})"
        while True:
            fresh = values | {"state": int(State.NEW)} | FRESH
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
        values: dict[str, Any] = FRESH if state is State.NEW else UNCHECKED | {"notbefore": 0, "lease": 0}
        same = f"(rowid == {row.rowid}) & (state == {int(row.state)}) & (token == {row.token})"
        return self._update_at(row.index, same, values | {"state": int(state), "token": new_token()})

    def forget_roots(self, row: Row, values: dict[str, Any]) -> bool:
        """Change what a row that nobody holds says of its roots; False when it is no longer as it was read."""
        same = f"(rowid == {row.rowid}) & (token == {row.token}) & (cleanup == {row.cleanup}) & {_IDLE}"
        return self._update_at(row.index, same, values)

    def flush(self) -> None:
        """Return when every row that was written is in storage."""
        self._hsds.flush(self.domain)

    def _bounds(self, chunk: int, total: int) -> tuple[int, int]:
        start = chunk * self.chunk_rows
        return start, min(start + self.chunk_rows, total)

    def _update(
        self, chunk: int, total: int, condition: str, values: dict[str, Any], limit: int, again: bool
    ) -> list[tuple[int, tuple[Any, ...] | None]]:
        """Change up to `limit` rows of one chunk that fulfil a condition; see `Hsds.update_rows`."""
        start, stop = self._bounds(chunk, total)
        if stop <= start:
            return []
        try:
            return self._hsds.update_rows(
                self.table_id, self.domain, condition, (start, stop), values, limit=limit, again=again
            )
        except NotFound:
            # no such chunk in storage yet, because its rows are being appended; or there is another table now
            self._reopen()
            return []

    def _update_at(self, index: int, condition: str, values: dict[str, Any]) -> bool:
        # a selection that ends with the row is enough to name its chunk
        return bool(self._update(index // self.chunk_rows, index + 1, condition, values, limit=1, again=True))

    def _decode(self, index: int, values: tuple[Any, ...]) -> Row:
        with self._hsds.understood():
            return decode(index, values, self._names, self.domain)


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
