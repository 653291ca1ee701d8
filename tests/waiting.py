"""Waiting in tests for what takes a moment."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(
    what: Callable[[], T],
    seconds: float = 60,
    said: Callable[[], object] = lambda: "",
    pause: float = 0.05,
    process: subprocess.Popen[str] | None = None,
) -> T:
    """The first answer that is true; an AssertionError, with what is `said`, when none is in time.

    Also when the `process` that it is about has ended meanwhile.
    """
    deadline = time.monotonic() + seconds
    while not (answer := what()):
        assert process is None or process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, f"not within {seconds:g} s; {said()}"
        time.sleep(pause)
    return answer
