"""The lease of a row in work, kept by a thread of its own: no step of a job has to remember it, and any may take hours.

What a job asks is `held`, which makes no request: before it changes anything, and now and then while it waits.
"""

from __future__ import annotations

import contextvars
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from ..hsds import HsdsError
from ..inventory.claims import Inventory
from ..inventory.model import Claim, Doing
from ..inventory.table import InventoryError
from ..log import Phase, event

RENEWALS_PER_LEASE = 4
TRIES_PER_LEASE = 20  # of a renewal that fails
_LOST = "another worker has the row, or it was put back"


@dataclass(frozen=True)
class Watched:
    """A thread that works: what it is at, and for how many seconds it has shown no sign of life."""

    phase: Phase
    silence: Callable[[], float]
    stuck_after: float  # of silence; what hangs must not keep its row for ever


class Lease:
    """The right to a claimed row, renewed inside of a `with` block.

    It counts from when the claim was `asked` for (by the monotonic clock): its answer may have been heard much later.
    Once it was lost or ran out, it is not held again: another worker may have begun.
    """

    def __init__(self, inventory: Inventory, claim: Claim, seconds: float, asked: float, watched: Watched) -> None:
        # a renewal that waits longer than that is worth less than the next one
        self._inventory = inventory.with_time_limit(seconds / 2)
        self._claim, self._seconds, self._watched = claim, seconds, watched
        self._until = asked + seconds
        self._over = threading.Event()
        self._lost = ""
        self._said_stuck = False
        # the lines of this thread have the fields of the one that it works for
        run = contextvars.copy_context().run
        self._thread = threading.Thread(target=run, args=(self._keep,), name="lease", daemon=True)

    @property
    def held(self) -> bool:
        """Whether the row is still this worker's, as far as it is known here. Makes no request."""
        return not self._lost and time.monotonic() < self._until

    def __enter__(self) -> Lease:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        # not waited for: a renewal under way is refused once the row is finished
        self._over.set()

    def _keep(self) -> None:
        due = self._until - self._seconds + self._seconds / RENEWALS_PER_LEASE
        while not self._over.wait(max(0.0, due - time.monotonic())):
            due = time.monotonic() + self._seconds / TRIES_PER_LEASE
            if not self.held:
                self._lose("it ran out")
            elif self._is_stuck():
                continue
            elif self._renew():
                due += self._seconds / RENEWALS_PER_LEASE - self._seconds / TRIES_PER_LEASE
            if self._lost:
                return

    def _renew(self) -> bool:
        began = time.monotonic()
        try:
            held = self._inventory.renew(self._claim, self._seconds, self._doing())
            # a renewal that is refused may have met the row just after its own finish
            lost = not held and not self._over.is_set() and not self._inventory.has_token(self._claim)
        except (HsdsError, InventoryError) as error:
            event(logging.WARNING, "cannot renew the lease", error=error)
            return False
        if held:
            self._until = began + self._seconds
        elif lost:
            self._lose(_LOST)
        return held

    def _doing(self) -> Doing | None:
        phase = self._watched.phase
        if not phase.step:
            return None
        doing = Doing(phase.step, **phase.numbers)
        objects, written = (f"{doing.objects}/{doing.of}", doing.bytes) if doing.of else (None, None)
        event(logging.DEBUG, "in work", step=doing.step, seconds=phase.seconds, objects=objects, written=written)
        return doing

    def _is_stuck(self) -> bool:
        silent = self._watched.silence()
        stuck = silent > self._watched.stuck_after
        if stuck and not self._said_stuck:
            step = self._watched.phase.step or None
            event(logging.ERROR, "its worker hangs: the lease is not renewed", step=step, silent=silent)
        self._said_stuck = stuck
        return stuck

    def _lose(self, why: str) -> None:
        """Say it at once: the step in hand may go on for a while before it asks."""
        self._lost = why
        phase = self._watched.phase
        again = self._claim.taken_over
        event(
            logging.ERROR if again else logging.WARNING,
            "lease lost, and not for the first time" if again else "lease lost",
            step=phase.step or None,
            seconds=phase.seconds,
            reason=why,
        )
