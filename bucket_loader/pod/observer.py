"""What workers and the watcher tell of themselves while they work. Who listens: `health` and `metrics`."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from ..inventory.states import Work


class AttemptEnd(Enum):
    """What became of one attempt at a file; the value is a label of the metrics."""

    DONE = "done"
    FAILED = "failed"
    RETRY = "retry"  # the row is free again, and this attempt counts
    GIVEN_BACK = "given_back"  # the row is free again as if nothing had been: told to stop, or a server is away
    LOST = "lost"  # another worker has the row


class Observer:
    """Hears what happens; this one does nothing with it. Called from every thread that works."""

    def alive(self, rest: float = 0.0) -> None:
        """This thread makes progress, and will now pause for `rest` seconds."""

    def found_servers(self) -> None:
        """What the process waited for at its start is there: it begins to work."""

    def silence(self, thread: int) -> float:
        """For how many seconds a thread (by its ident) has shown no sign of life."""
        return 0.0

    def begins(self, work: Work) -> None:
        """A row was claimed."""

    def ends(self, work: Work, ending: AttemptEnd, seconds: float, size: int) -> None:
        """A claimed row's attempt is over: after how many seconds, with a source of how many bytes."""

    def transferred(self, traffic: Mapping[str, int]) -> None:
        """A load has made so many requests of S3 by itself: `puts`, `gets`, `put_bytes`, `got_bytes`, `retries`."""

    def away(self) -> None:
        """A server is away; the worker will try again after a pause."""
