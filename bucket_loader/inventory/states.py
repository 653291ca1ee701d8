"""The life of a row: its states, and who may move it from one to the next.

    NEW ──claim──▶ LOADING ──▶ LOADED ──claim──▶ CHECKING ──▶ VERIFIED
     ▲               │  │        ▲                 │   │
     │ try again ◀───┘  ▼        └── try again ◀───┘   ▼
     │              LOAD_FAILED                   CHECK_FAILED
     └──────────── the source changed: from every state ───────────

A worker moves only a row that it holds (its claim's token is in the row). The watcher makes rows NEW, and moves only
rows that nobody holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class State(IntEnum):
    """What is true of a source file now. The numbers are stored; 0 is what a row holds before it is written."""

    BLANK = 0
    NEW = 1
    LOADING = 2
    LOADED = 3
    LOAD_FAILED = 4
    CHECKING = 5
    VERIFIED = 6
    CHECK_FAILED = 7
    DUPLICATE = 8

    @property
    def label(self) -> str:
        return self.name.lower().replace("_", " ")


ACTIVE = frozenset({State.LOADING, State.CHECKING})
# rows that stand for a source file: neither blank nor a further row of a key
OF_FILES = frozenset(State) - {State.BLANK, State.DUPLICATE}
FINISHED = frozenset({State.VERIFIED, State.LOAD_FAILED, State.CHECK_FAILED})

# what the holder of a claim may make of its row
WORKER_MOVES = {
    State.LOADING: frozenset({State.LOADED, State.LOAD_FAILED, State.NEW}),
    State.CHECKING: frozenset({State.VERIFIED, State.CHECK_FAILED, State.LOADED, State.NEW}),
}


class ForbiddenMove(AssertionError):
    """A row cannot go from this state to that one."""


def check_move(before: State, after: State) -> None:
    """Raise ForbiddenMove unless the holder of a row in `before` may move it to `after`."""
    if after not in WORKER_MOVES.get(before, frozenset()):
        raise ForbiddenMove(f"a worker cannot move a row from {before.label} to {after.label}")


@dataclass(frozen=True)
class Work:
    """A kind of work on rows: from which state it claims, what it makes of them, which columns are its own."""

    name: str
    ready: State
    active: State
    done: State
    failed: State
    prefix: str  # of the columns start, done, status, podname and attempts
    through: tuple[State, ...]  # of rows that this work has been at

    def column(self, name: str) -> str:
        return self.prefix + name


_LOAD_BEGAN = tuple(sorted(set(State) - {State.BLANK, State.NEW}))
_CHECK_BEGAN = (State.CHECKING, State.VERIFIED, State.CHECK_FAILED)
LOAD = Work("load", State.NEW, State.LOADING, State.LOADED, State.LOAD_FAILED, "load", _LOAD_BEGAN)
CHECK = Work("check", State.LOADED, State.CHECKING, State.VERIFIED, State.CHECK_FAILED, "diff", _CHECK_BEGAN)
