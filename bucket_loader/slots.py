"""How many files a pod works on at once, while it has more threads than that.

A thread that runs a tool has one of the pod's slots. One that only waits for a server (a flush takes a few tenths of a
second) lets go of it, and another thread claims the next row meanwhile. So the tools never stand still for a flush, and
no more of them run at once than are configured: each takes memory.
"""

from __future__ import annotations

import threading


class Slots:
    """So many threads may work at once."""

    def __init__(self, count: int) -> None:
        self._free = threading.Semaphore(count)

    def share(self) -> Slot:
        """For one thread."""
        return Slot(self._free)


class Slot:
    """One thread's right to work: to be taken before it claims a row, and let go of at the latest when it ends."""

    def __init__(self, free: threading.Semaphore) -> None:
        self._free, self._held = free, False

    def take(self, seconds: float) -> bool:
        """Wait for it so long; whether this thread has it now. A thread that has it keeps it."""
        self._held = self._held or self._free.acquire(timeout=seconds)
        return self._held

    def let_go(self) -> None:
        """Give it to another thread; nothing happens where it is not held."""
        if self._held:
            self._held = False
            self._free.release()
