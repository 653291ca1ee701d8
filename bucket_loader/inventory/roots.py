"""The roots that a row answers for, so that none is forgotten: one being written, and those that it replaced.

A root is known by 16 hexadecimal digits (`storage.ids`). It is in the row before its first key is in the bucket, and
until its last one is gone. One that was replaced stays for a while: readers have it in their caches. While a row names
any, its `cleanup` is not 0.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

_DIGITS, _TIME = 16, 8
MOST = 8  # replaced roots that a row can name
NEVER = 1 << 40  # `cleanup` of a row whose one root waits for its check
_ABANDONED_SECONDS = 900  # from the loss of a lease to the last key that its worker may still put
IN_SERVICE = (1 << 32) - 1  # when a root is due that readers have until the switch to its successor has ended
COLUMN_BYTES = MOST * (_DIGITS + _TIME)


@dataclass(frozen=True)
class Replaced:
    """A root that may be deleted at a time, in epoch seconds."""

    root: str
    due: int

    @property
    def in_service(self) -> bool:
        """Whether it is being replaced; where that was not ended, readers may have it, its successor, or nothing."""
        return self.due == IN_SERVICE


def parse(column: str) -> list[Replaced]:
    """Raises ValueError for what `join` did not make."""
    width = _DIGITS + _TIME
    parts = [column[start : start + width] for start in range(0, len(column), width)]
    return [Replaced(part[:_DIGITS], int(part[_DIGITS:], 16)) for part in parts]


def join(replaced: Iterable[Replaced]) -> str:
    """The column. Raises ValueError where it cannot hold them all."""
    column = "".join(f"{one.root}{one.due:0{_TIME}x}" for one in replaced)
    if len(column) > COLUMN_BYTES:
        raise ValueError(f"{len(column) // (_DIGITS + _TIME)} replaced roots, where a row can name {MOST}")
    return column


def abandoned_due() -> int:
    """When a root is due that a worker may still be writing."""
    return int(time.time() + _ABANDONED_SECONDS)


def first_due(replaced: Iterable[Replaced], waiting: str = "") -> int:
    """The column `cleanup`: when the first of them may be deleted; else NEVER where a root is `waiting`, or 0."""
    return min((one.due for one in replaced), default=NEVER if waiting else 0)
