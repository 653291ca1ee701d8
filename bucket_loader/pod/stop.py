"""Being told to stop: the first SIGTERM or SIGINT asks for it, the second one insists."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stop:
    """Whether to stop, and how soon. Shared by the threads of a process."""

    def __init__(self, grace: float) -> None:
        self._grace = grace
        self._event = threading.Event()
        self._since = 0.0
        self._insisted = False

    def request(self) -> None:
        if self._event.is_set():
            self._insisted = True
        else:
            self._since = time.monotonic()
            self._event.set()

    @property
    def requested(self) -> bool:
        """No new work is to be begun."""
        return self._event.is_set()

    @property
    def now(self) -> bool:
        """What still runs is to be ended: the grace is over, or the signal came twice."""
        return self._insisted or (self.requested and time.monotonic() - self._since >= self._grace)

    def wait(self, seconds: float) -> bool:
        """Sleep, but not past a request to stop; True when there is one."""
        return self._event.wait(seconds)

    @contextmanager
    def on_signals(self) -> Iterator[Stop]:
        """Take SIGTERM and SIGINT as requests; the handlers of before come back at the end."""

        def handler(_number: int, _frame: FrameType | None) -> None:
            self.request()

        before = {number: signal.signal(number, handler) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield self
        finally:
            for number, old in before.items():
                signal.signal(number, old)
