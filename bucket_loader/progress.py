"""Progress of what takes long: a bar on a terminal's stderr, nothing where it is piped, lines in a log."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

LOG_SECONDS = 10.0  # between two lines of a pod's log about one thing

T = TypeVar("T")


def bar(items: Iterable[T], words: str, total: int, console: Console | None = None) -> Iterator[T]:
    """The items, while a bar shows how many of them there were; it goes when they end."""
    console = console or Console(stderr=True)
    if not console.is_terminal:
        yield from items
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        yield from progress.track(items, total=total, description=words)


def busy(words: str) -> AbstractContextManager[Any]:
    """Says on a terminal what is waited for, until the block ends."""
    console = Console(stderr=True)
    return console.status(words) if console.is_terminal else nullcontext()


class Ticker:
    """Says when it is time for another line of a log."""

    def __init__(self, seconds: float = LOG_SECONDS) -> None:
        self._seconds, self._last = seconds, time.monotonic()

    def due(self) -> bool:
        """True once in so many seconds, not before the first are over."""
        if time.monotonic() - self._last < self._seconds:
            return False
        self._last = time.monotonic()
        return True
