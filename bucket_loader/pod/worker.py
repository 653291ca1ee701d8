"""The loop of a worker: claim a row, do the job, write down what became of it. It outlives every file and outage."""

from __future__ import annotations

import logging
import random
import threading
import time
from enum import Enum
from functools import partial

from ..config import Config
from ..errors import AttemptFailed, CalledOff, Retry
from ..hsds import HsdsError, Unavailable
from ..inventory.claims import Inventory
from ..inventory.model import Claim, Outcome
from ..inventory.states import State
from ..inventory.table import InventoryError
from ..log import Phase, bind, bound, event, phases, timed
from ..s3 import SourceError
from .job import Job
from .lease import Lease, Watched
from .observer import AttemptEnd, Observer
from .slots import Slot, Slots
from .stop import Stop

SHORTEST_PAUSE = 0.5  # of a worker that found nothing; it doubles up to watchdog_sleep_time
LONGEST_OUTAGE_PAUSE = 30.0
SLOT_SECONDS = 0.5  # of waiting for a slot between two signs of life


class Step(Enum):
    """What one turn of the loop came to."""

    WORKED = "worked"
    IDLE = "idle"
    AWAY = "a server is away"


def outcome_of(claim: Claim, failure: AttemptFailed, config: Config) -> Outcome:
    """What becomes of a row after a failed attempt: another one after a growing pause, or the end."""
    work = claim.work
    if isinstance(failure, Retry) and claim.attempt < config.max_attempts:
        # at random: else files that met one crash of a server would meet again, with the file that caused it
        wait = config.retry_pause * 2 ** (claim.attempt - 1) * random.uniform(1, 2)
        return Outcome(work.ready, failure.status, failure.reason, wait=wait)
    return Outcome(work.failed, failure.status, failure.reason)


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
        self._job, self._inventory, self._config, self._stop, self.name = job, inventory, config, stop, name
        self._observer = observer or Observer()
        self._slot = slot or Slots(1).share()
        self.finished = 0
        self.failed = 0

    def run(self, drain: bool = False, once: bool = False) -> None:
        """Work until told to stop; `drain`: until no row waits or is in work; `once`: one row at most."""
        bind(pod=self.name)
        self._take_up_again()
        try:
            self._work(drain, once)
        finally:
            self._slot.release()

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
            found = self._inventory.forget_claims(self._job.work, self.name)
        except (HsdsError, InventoryError) as error:
            self._away("cannot search for earlier claims", error)
            return
        if found:
            event(logging.INFO, "takes up again", rows=found)

    def step(self) -> Step:
        """One turn: at most one row, from its claim to its finish."""
        self._observer.alive()
        asked = time.monotonic()
        try:
            with timed("claim"):
                first = self._job.first_columns()
                claim = self._inventory.claim(self._job.work, self.name, self._config.lease_time, first=first)
        except (HsdsError, InventoryError) as error:
            return self._away("cannot claim", error)
        if claim is None:
            return Step.IDLE
        about = bound(key=claim.row.filename, row=claim.row.index, attempt=claim.attempt, pod=self.name)
        with about, phases() as phase, self._lease(claim, asked, phase) as lease:
            alone = claim.taken_over and not self._is_given_up(claim)
            if alone:
                event(logging.INFO, f"{claim.work.name} is tried alone", reason="its last worker died or lost it")
            with self._slot.row(alone, partial(self._may_begin, lease)) as begun:
                if begun:
                    return self._work_on(claim, lease)
            # the stop came, or the wish of another row to be alone, while the claim was on its way: to begin what may
            # have to be broken off would be a load for nothing
            self._slot.release()
            self._release(claim, "not begun")
            return Step.WORKED

    def _lease(self, claim: Claim, asked: float, phase: Phase) -> Lease:
        thread = threading.get_ident()
        watched = Watched(phase, lambda: self._observer.silence(thread), self._config.stuck_after)
        return Lease(self._inventory, claim, self._config.lease_time, asked, watched)

    def _goes_on(self, lease: Lease) -> bool:
        """Whether to go on with a row; makes no request."""
        self._observer.alive()
        return not self._stop.now and lease.held

    def _may_begin(self, lease: Lease) -> bool:
        return not self._stop.requested and self._goes_on(lease)

    def _is_given_up(self, claim: Claim) -> bool:
        """Only workers that died leave such a row: what ends otherwise is counted and ended by the job."""
        return claim.taken_over and claim.attempt > self._config.max_attempts

    def _work_on(self, claim: Claim, lease: Lease) -> Step:
        event(logging.INFO, f"{claim.work.name} begins", bytes=claim.row.size)
        self._observer.begins(claim.work)
        started = time.monotonic()
        try:
            outcome = self._attempt(claim, lease)
            with timed("finish"):
                state = self._inventory.finish(claim, outcome)
        except CalledOff:
            self._give_back(claim, "called off", started)
            return Step.WORKED
        except (HsdsError, SourceError, InventoryError) as error:
            self._give_back(claim, "given back", started)
            return self._away(f"{claim.work.name} waits", error)
        self._observer.transferred(outcome.traffic)
        self._report(claim, outcome, state, time.monotonic() - started)
        return Step.WORKED

    def _attempt(self, claim: Claim, lease: Lease) -> Outcome:
        """What the job finds, or what stands in the way of asking it."""
        config, keep_going = self._config, partial(self._goes_on, lease)
        given_up = self._is_given_up(claim)
        if claim.taken_over and not given_up and not self._inventory.mark_alone(claim):
            raise CalledOff
        try:
            claim = self._job.end_switch(claim, keep_going)
            if not given_up:
                return self._job.run(claim, keep_going, self._slot.release)
            reason = (
                f"given up: its worker died in each of {config.max_attempts} attempts, with no other file in work "
                "(out of memory?)"
            )
            return Outcome(claim.work.failed, 1, reason)
        except (CalledOff, Unavailable, SourceError):
            raise
        except AttemptFailed as failure:
            return outcome_of(claim, failure, config)
        except Exception as error:
            # whatever a file does, the worker lives on; it counts as an attempt
            event(logging.DEBUG, f"{claim.work.name} broke off", trace=True)
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            return outcome_of(claim, Retry(reason), config)

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
        lost = self._release(claim, why) is None
        ending = AttemptEnd.LOST if lost else AttemptEnd.GIVEN_BACK
        self._observer.ends(claim.work, ending, time.monotonic() - started, claim.row.size)

    def _release(self, claim: Claim, why: str) -> State | None:
        """Give a row back; None when it is another worker's, or goes to another one when its lease is over."""
        try:
            state = self._inventory.release(claim)
        except (HsdsError, InventoryError) as error:
            event(logging.WARNING, "cannot give back", error=error, after=f"{self._config.lease_time:.0f}s")
            return None
        if state is None:
            event(logging.WARNING, f"{claim.work.name} lost its row", outcome=_label(state))
        else:
            event(logging.INFO, f"{claim.work.name} {why}", outcome=_label(state))
        return state

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
        ending = AttemptEnd.DONE if good else AttemptEnd.FAILED if state is work.failed else AttemptEnd.RETRY
        self._observer.ends(work, AttemptEnd.LOST if state is None else ending, seconds, claim.row.size)
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
