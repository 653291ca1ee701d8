"""The loop of a worker: claim a row, do the job, write down what became of it. It outlives every file and outage."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from enum import Enum

from .config import Config
from .hsds import HsdsError, Unavailable
from .inventory import Claim, Inventory, InventoryError, Outcome
from .jobs import Job, retry_or_fail
from .judge import Judged, Verdict
from .log import bind, bound, event, timed
from .observer import Ending, Observer
from .shutdown import CalledOff, Stop
from .slots import Slot, Slots
from .source import SourceError
from .states import State

SHORTEST_PAUSE = 0.5  # of a worker that found nothing; it doubles up to watchdog_sleep_time
LONGEST_OUTAGE_PAUSE = 30.0
RENEWALS_PER_LEASE = 4
TRIES_PER_LEASE = 20  # at a renewal that fails
SLOT_SECONDS = 0.5  # of waiting for a slot between two signs of life


class Step(Enum):
    """What one turn of the loop came to."""

    WORKED = "worked"
    IDLE = "idle"
    AWAY = "a server is away"


class Worker:
    """Works off the rows of one inventory, one at a time."""

    def __init__(
        self,
        job: Job,
        inventory: Inventory,
        config: Config,
        stop: Stop,
        name: str,
        observer: Observer | None = None,
        slot: Slot | None = None,
    ) -> None:
        self._job, self._inventory, self._config, self._stop, self._name = job, inventory, config, stop, name
        self._observer = observer or Observer()
        self._slot = slot or Slots(1).share()
        self.finished = 0
        self.failed = 0

    def run(self, drain: bool = False, once: bool = False) -> None:
        """Work until told to stop; `drain`: until no row waits or is in work; `once`: one row at most."""
        bind(pod=self._name)
        self._take_up_again()
        try:
            self._work(drain, once)
        finally:
            self._slot.let_go()

    def _work(self, drain: bool, once: bool) -> None:
        pause = SHORTEST_PAUSE
        while not self._stop.requested:
            # kept through the pauses of an idle worker: one that waits for a slot need not ask for rows, too
            if not self._slot.take(SLOT_SECONDS):
                self._observer.alive()
                continue
            step = self.step()
            if once and step is not Step.AWAY:
                return
            if step is Step.WORKED:
                pause = SHORTEST_PAUSE
                continue
            longest = (
                LONGEST_OUTAGE_PAUSE if step is Step.AWAY else max(SHORTEST_PAUSE, self._config.watchdog_sleep_time)
            )
            if step is Step.IDLE and drain and self._nothing_left():
                return
            pause = min(pause, longest)
            self._observer.alive(rest=pause)
            self._stop.wait(pause)
            pause = min(pause * 2, longest)

    def _take_up_again(self) -> None:
        """Make what this pod held before its container was restarted free to be claimed at once."""
        try:
            found = self._inventory.forget_claims(self._job.work, self._name)
        except (HsdsError, InventoryError) as error:
            self._away("cannot look for earlier claims", error)
            return
        if found:
            event(logging.INFO, "takes up again", rows=found)

    def step(self) -> Step:
        """One turn: at most one row, from its claim to its finish."""
        self._observer.alive()
        asked = time.monotonic()
        try:
            with timed("claim"):
                claim = self._inventory.claim(self._job.work, self._name, self._config.lease_time)
        except (HsdsError, InventoryError) as error:
            return self._away("cannot claim", error)
        if claim is None:
            return Step.IDLE
        with bound(key=claim.row.filename, row=claim.row.index, attempt=claim.attempt, pod=self._name):
            if self._stop.requested:
                # the claim was on its way: to begin what may have to be broken off would be a load for nothing
                self._release(claim, "not begun")
                return Step.WORKED
            return self._work_on(claim, asked)

    def _work_on(self, claim: Claim, asked: float) -> Step:
        event(logging.INFO, f"{claim.work.name} begins", bytes=claim.row.size)
        self._observer.begins(claim.work)
        started = time.monotonic()
        try:
            outcome = self._attempt(claim, asked)
            with timed("finish"):
                state = self._inventory.finish(claim, outcome)
        except CalledOff:
            self._give_back(claim, "called off", started)
            return Step.WORKED
        except (HsdsError, SourceError, InventoryError) as error:
            self._give_back(claim, "given back", started)
            return self._away(f"{claim.work.name} waits", error)
        self._report(claim, outcome, state, time.monotonic() - started)
        return Step.WORKED

    def _attempt(self, claim: Claim, asked: float) -> Outcome:
        """What the job finds, or what stands in the way of asking it."""
        config = self._config
        if claim.attempt > config.max_attempts:
            # only workers that died leave such a row: what ends otherwise is counted and ended by the job
            reason = f"given up: its worker died in each of {config.max_attempts} attempts (out of memory?)"
            return Outcome(claim.work.failed, 1, reason)
        try:
            return self._job.run(claim, self._heartbeat(claim, asked), self._slot.let_go)
        except (CalledOff, Unavailable, SourceError):
            raise
        except Exception as error:
            # whatever a file does, the worker lives on; it counts as an attempt
            event(logging.DEBUG, f"{claim.work.name} broke off", trace=True)
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            return retry_or_fail(claim, Judged(Verdict.TRY_AGAIN, 1, reason, 0), config)

    def _heartbeat(self, claim: Claim, asked: float) -> Callable[[], bool]:
        """A function that says whether to go on with a row, and renews its lease when that is due.

        The lease counts from when the claim was `asked` for: its answer may have come, or have been heard, much later.
        """
        lease = self._config.lease_time
        renewed = asked
        due = renewed + lease / RENEWALS_PER_LEASE

        def keep_going() -> bool:
            nonlocal renewed, due
            self._observer.alive()
            if self._stop.now:
                return False
            now = time.monotonic()
            if now >= due:
                try:
                    held = self._inventory.renew(claim, lease)
                except (HsdsError, InventoryError) as error:
                    event(logging.WARNING, "cannot renew the lease", error=error)
                    due = now + lease / TRIES_PER_LEASE
                else:
                    if not held:
                        return False
                    renewed = now
                    due = now + lease / RENEWALS_PER_LEASE
            return now - renewed < lease  # without it, another worker may have begun

        return keep_going

    def _nothing_left(self) -> bool:
        """Whether no row waits for this work, now or after a pause, and none is in it."""
        work = self._job.work
        try:
            counts = self._inventory.counts()
        except (HsdsError, InventoryError) as error:
            self._away("cannot count", error)
            return False
        return not counts[work.ready] and not counts[work.active]

    def _give_back(self, claim: Claim, why: str, started: float) -> None:
        """Release a row that was begun."""
        self._observer.ends(claim.work, Ending.GIVEN_BACK, time.monotonic() - started, claim.row.size)
        self._release(claim, why)

    def _release(self, claim: Claim, why: str) -> None:
        try:
            state = self._inventory.release(claim)
        except (HsdsError, InventoryError) as error:
            event(logging.WARNING, "cannot give back", error=error, after=f"{self._config.lease_time:.0f}s")
            return
        event(logging.INFO, f"{claim.work.name} {why}", outcome=_label(state))

    def _away(self, what: str, error: Exception) -> Step:
        event(logging.WARNING, what, error=error)
        self._observer.away()
        return Step.AWAY

    def _report(self, claim: Claim, outcome: Outcome, state: State | None, seconds: float) -> None:
        """The one line per file."""
        work = claim.work
        good = state is work.done
        self.finished += good
        self.failed += state is work.failed
        words = "ended" if good else "failed" if state is work.failed else "will be tried again"
        if state is None:
            words = "lost its row"
        ending = Ending.DONE if good else Ending.FAILED if state is work.failed else Ending.RETRY
        self._observer.ends(work, Ending.LOST if state is None else ending, seconds, claim.row.size)
        event(
            logging.INFO if good else logging.WARNING,
            f"{work.name} {words}",
            seconds=seconds,
            bytes=claim.row.size,
            outcome=_label(state),
            mode=outcome.mode or None,
            status=outcome.status,
            reason=outcome.reason or None,
        )


def _label(state: State | None) -> str:
    return state.label if state is not None else "another worker's"
