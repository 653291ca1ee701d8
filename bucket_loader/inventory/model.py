"""A row of the inventory: its columns, and the row, a claim and an outcome as data.

An inventory of 2021 has fewer columns, and is read into the same rows.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from ..s3 import SourceObject
from . import roots
from .states import OF_FILES, State, Work

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
        ("loadengine", "S8"),  # hsload or direct
        ("newroot", "S16"),  # what a load without HSDS writes, before a domain names it: see roots.py
        ("oldroots", f"S{roots.COLUMN_BYTES}"),  # what it has replaced, and when each may go
        ("oldbytes", "i8"),  # of those
        ("cleanup", "i8"),  # when the watcher is to look after these roots; 0: there is nothing to do
        ("doing", "S48"),  # what the worker of an active row was at when it renewed its lease: see `Doing`
    ]
)
# inventories of before have none of these, and are good for all that needs none
ROOT_COLUMNS = ("loadengine", "newroot", "oldroots", "oldbytes", "cleanup")
LATER_COLUMNS = (*ROOT_COLUMNS, "doing")

Rows = npt.NDArray[np.void]

# a row whose load starts from nothing
FRESH: dict[str, Any] = {
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
UNCHECKED = {key: value for key, value in FRESH.items() if key.startswith("diff")}


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
    loadengine: str = ""
    newroot: str = ""
    oldroots: str = ""
    oldbytes: int = 0
    cleanup: int = 0
    doing: str = ""
    inventory: str = ""  # the domain of its table: a report shows rows of several; no column

    @property
    def unpublished(self) -> str:
        """The root that a load has left to the check (`publish: after-check`), also one that failed it; else "".

        A row that waits to be loaded, or was loaded by hsload, may name one that was given up.
        """
        waits = self.state in (State.LOADED, State.CHECKING, State.CHECK_FAILED) and self.loadengine == "direct"
        return self.newroot if waits else ""

    @property
    def source(self) -> SourceObject:
        return SourceObject(self.filename, self.size, self.etag, self.modified)


@dataclass(frozen=True)
class Doing:
    """What a worker is at: a step of its work, and how many objects of the file, and bytes, are written by then."""

    step: str
    objects: int = 0
    of: int = 0  # 0: not known
    bytes: int = 0

    def to_column(self) -> str:
        return f"{self.step} {self.objects}/{self.of} {self.bytes}" if self.of else self.step

    @classmethod
    def from_column(cls, text: str) -> Doing:
        step, _, far = text.partition(" ")
        if match := re.fullmatch(r"(\d+)/(\d+) (\d+)", far):
            return cls(step, *map(int, match.groups()))
        return cls(step)


@dataclass(frozen=True)
class Claim:
    """The right to work on one row until its lease runs out. `row` is the row as it was claimed.

    `taken_over`: its last worker died, or lost it. `first`: the columns that were written with it.
    """

    row: Row
    work: Work
    token: int
    table_id: str
    taken_over: bool = False
    first: Mapping[str, Any] = field(default_factory=dict)

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
    engine: str = ""
    columns: Mapping[str, Any] = field(default_factory=dict)  # others of the row, which this engine knows
    source: SourceObject | None = None
    wait: float = 0.0  # seconds until the row may be claimed again
    traffic: Mapping[str, int] = field(default_factory=dict)  # with S3, for the metrics (`storage.transfers.Traffic`)


def key_digest(key: str) -> bytes:
    """What a key is known by: 128 bits, so that a million keys do not collide by chance."""
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def new_token() -> int:
    return secrets.randbits(51) + 1


def ascii_line(text: str, size: int = REASON_BYTES) -> str:
    """One line of ASCII that fits a column: HSDS answers 400 to other text in an update, and cuts in mid-character."""
    line = " ".join(text.split()).encode("ascii", "backslashreplace").decode()
    return line if len(line) <= size else line[: size - 3] + "..."


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def decode(index: int, values: Any, names: Sequence[str], inventory: str = "") -> Row:
    """A row from its values, in the order of `names`. Columns of the inventories of 2021 suffice; the state follows."""
    found: dict[str, Any] = {}
    for name, value in zip(names, values, strict=True):
        if name in Row.__dataclass_fields__:
            found[name] = _text(value) if isinstance(value, bytes | str) else int(value)
    found["state"] = State(found["state"]) if "state" in found else _state_of_2021(found)
    return Row(index=index, inventory=inventory, **found)


# the state of a row in an inventory that has no such column: the first column that is zero, or is not, says it
_STATES_OF_2021 = (
    ("filename", False, State.BLANK),
    ("loadstart", False, State.NEW),
    ("loaddone", False, State.LOADING),
    ("loadstatus", True, State.LOAD_FAILED),
    ("diffstart", False, State.LOADED),
    ("diffdone", False, State.CHECKING),
    ("diffstatus", True, State.CHECK_FAILED),
)
COLUMNS_OF_STATE = tuple(name for name, _, _ in _STATES_OF_2021)  # there


def _state_of_2021(row: dict[str, Any]) -> State:
    return next((state for name, is_set, state in _STATES_OF_2021 if bool(row[name]) is is_set), State.VERIFIED)


def states(block: Rows) -> npt.NDArray[np.int32]:
    """The states of some rows, shape (rows,)."""
    if "state" in (block.dtype.names or ()):
        return cast("npt.NDArray[np.int32]", block["state"])
    masks = [(block[name] != np.zeros((), block[name].dtype)) == is_set for name, is_set, _ in _STATES_OF_2021]
    return np.select(masks, [np.int32(state) for _, _, state in _STATES_OF_2021], np.int32(State.VERIFIED))


def of_files(state: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
    """Which rows stand for a source file."""
    return np.isin(state, list(OF_FILES))


def source_values(item: SourceObject) -> dict[str, Any]:
    return {"size": item.size, "etag": ascii_line(item.etag, 64), "modified": item.modified}
