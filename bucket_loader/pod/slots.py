"""How many files a pod works on at once, while it has more threads than that, and which one is worked on alone.

A thread that runs a tool has one of the pod's slots. One that only waits for a server (a flush takes a few tenths of a
second) releases it, and another thread claims the next row meanwhile. So the tools never stand still for a flush, and
no more of them run at once than are configured: each takes memory.

A file whose worker died may be what killed it, together with all others in that process. It is worked on alone: while
one waits for that or does it, no thread begins another row.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SLICE_SECONDS = 0.5  # of waiting between two looks whether to go on


class Slots:
    """So many threads may work at once."""

    def __init__(self, count: int) -> None:
        self.free = count
        self.in_hand = 0  # rows that are worked on, with or without a slot
        self.wanting = 0  # threads that wait until they are alone
        self.alone = False
        self.changed = threading.Condition()

    def share(self) -> Slot:
        """For one thread."""
        return Slot(self)

    @property
    def reserved(self) -> bool:
        """Whether a row is to be worked on alone, or is."""
        return self.alone or self.wanting > 0


class Slot:
    """One thread's right to work: to be taken before it claims a row, and let go of at the latest when it ends."""

    def __init__(self, slots: Slots) -> None:
        self._slots, self._held = slots, False

    def take(self, seconds: float) -> bool:
        """Wait for it so long; whether this thread has it now. A thread that has it keeps it."""
        slots = self._slots
        with slots.changed:
            if not self._held and slots.changed.wait_for(lambda: slots.free > 0 and not slots.reserved, seconds):
                self._held = True
                slots.free -= 1
        return self._held

    def release(self) -> None:
        """Give it to another thread; nothing happens where it is not held."""
        slots = self._slots
        with slots.changed:
            if self._held:
                self._held = False
                slots.free += 1
                slots.changed.notify_all()

    @contextmanager
    def row(self, alone: bool, may_begin: Callable[[], bool]) -> Iterator[bool]:
        """A row that is in hand inside of the block; gives False where it must not be begun.

        That is while another one is worked on alone, and when `may_begin` says so. One that is itself to be `alone`
        waits until no other is in hand.
        """
        begun = self._begin_alone(may_begin) if alone else may_begin() and self._begin()
        try:
            yield begun
        finally:
            if begun:
                self._end()

    def _begin(self) -> bool:
        slots = self._slots
        with slots.changed:
            if slots.reserved:
                return False
            slots.in_hand += 1
        return True

    def _begin_alone(self, may_begin: Callable[[], bool]) -> bool:
        slots = self._slots
        with slots.changed:
            slots.wanting += 1
        try:
            while may_begin():
                with slots.changed:
                    if slots.changed.wait_for(lambda: not slots.in_hand, SLICE_SECONDS):
                        slots.in_hand, slots.alone = 1, True
                        return True
        finally:
            with slots.changed:
                slots.wanting -= 1
                slots.changed.notify_all()
        return False

    def _end(self) -> None:
        slots = self._slots
        with slots.changed:
            slots.in_hand -= 1
            slots.alone = False
            slots.changed.notify_all()
