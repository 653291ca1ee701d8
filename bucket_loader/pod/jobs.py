"""What is done with a claimed row: a load, or a check. A job returns what it found; the worker writes it down."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from ..children.judge import Judged, Mode, Verdict
from ..children.limits import Budget
from ..children.tool import Tools
from ..config import Config
from ..hsds import Conflict, HsdsError, LoginRefused, NotFound, Unavailable
from ..inventory.model import Claim, Outcome
from ..inventory.states import CHECK, LOAD, State, Work
from ..load.object_counts import of_domain
from ..load.preflight import Look
from ..log import event, timed
from ..s3 import SourceObject
from .servers import Servers
from .stop import CalledOff

KeepGoing = Callable[[], bool]
LetGo = Callable[[], None]
FLUSH_SECONDS = 600.0
MANY_REQUESTS = 5000  # of a load that is worth a line: HSDS answers 30 to 200 of them a second
# why a row whose comparison found nothing is not verified
NOT_PROVEN = (
    "no difference, but not proven: HSDS at {} may have told what it remembers of the load, not what is in storage;"
    " restart its data nodes, or set hsds_local to one that loads nothing, and check again"
)


class Job(Protocol):
    """A kind of work.

    `run` raises CalledOff, or Unavailable/SourceError when a server is away: the row is released. It may `let_go` of
    its slot when its tools are done and it only waits for servers; `lets_go` says whether it does.
    """

    work: Work
    lets_go: bool

    def run(self, claim: Claim, keep_going: KeepGoing, let_go: LetGo) -> Outcome: ...


def retry_or_fail(claim: Claim, judged: Judged, config: Config) -> Outcome:
    """What becomes of a row after a run that was not good: another try after a growing pause, or the end."""
    work = claim.work
    if judged.verdict is Verdict.TRY_AGAIN and claim.attempt < config.max_attempts:
        # by chance: files that one crash of their server hit would meet again, and fail with the one that caused it
        wait = config.retry_pause * 2 ** (claim.attempt - 1) * random.uniform(1, 2)
        return Outcome(work.ready, judged.status, judged.reason, wait=wait)
    return Outcome(work.failed, judged.status, judged.reason)


def despite(judged: Judged, accident: str) -> Judged:
    """A run that was not good, after an accident that may be why. It counts: the file may be what caused it."""
    return Judged(Verdict.TRY_AGAIN, 1, accident, judged.seconds) if accident else judged


def _end_if_called_off(keep_going: KeepGoing) -> None:
    """Raise CalledOff when the process is to end now, or the row is another's: also before a domain is deleted.

    A process that was paused past its lease goes on where it was, without knowing, and the domain may be theirs.
    """
    if not keep_going():
        raise CalledOff


def _give_back_when_busy(judged: Judged) -> None:
    """Raise Unavailable when a server was too busy for a tool: that is no attempt, and the worker waits."""
    if judged.busy:
        raise Unavailable(judged.reason)


def _foresee(look: Look | None, mode: Mode) -> None:
    """Say of a load that will take long why it will: small files may have many objects or chunks."""
    copied = mode is not Mode.LINK
    if look and (requests := look.requests(copied)) >= MANY_REQUESTS:
        counts = look.counts
        event(
            logging.INFO,
            "load will take long",
            objects=counts.groups + counts.datasets + counts.types,
            attributes=counts.attributes,
            chunks=look.chunks if copied else None,
            requests=requests,
        )


class LoadJob:
    """Loads a source object into its domain, so that it is whole, in storage, and seen by everyone."""

    work = LOAD
    lets_go = True  # while a domain is flushed

    def __init__(self, config: Config, servers: Servers, tools: Tools) -> None:
        self._config, self._servers, self._tools = config, servers, tools

    def run(self, claim: Claim, keep_going: KeepGoing, let_go: LetGo) -> Outcome:
        key = claim.row.filename
        domain = self._config.domains.of(key)
        # also here, right before anything is deleted: the row may be older than the rule, or than the settings
        if refused := self._config.domains.refusal(key):
            return Outcome(State.LOAD_FAILED, 1, refused)
        before = self._servers.source.look(key)
        if before is None:
            return Outcome(State.LOAD_FAILED, 1, "the source object is gone")
        try:
            return self._load(claim, domain, before, keep_going, let_go)
        except LoginRefused as error:
            if error.status == 401:
                # the password was changed: no file's fault, and every file's fate
                raise Unavailable(str(error)) from error
            return Outcome(State.LOAD_FAILED, 1, str(error))

    def _load(self, claim: Claim, domain: str, before: SourceObject, keep_going: KeepGoing, let_go: LetGo) -> Outcome:
        key, servers = claim.row.filename, self._servers
        try:
            with timed("delete"):
                self._forget_old(claim, domain, keep_going)
            _end_if_called_off(keep_going)
            servers.make_folder_of(domain, below=self._config.tgt_folder)
        except Conflict:
            return Outcome(State.LOAD_FAILED, 1, f"there is a folder {domain}/ where the domain should be")
        lives = servers.pod.lives()
        budget = Budget(self._config.load_time_limit, "load_time_limit")
        mode, look, judged = self._run(key, domain, budget, keep_going)
        let_go()
        if look and judged.verdict is Verdict.GOOD:
            try:
                judged = self._prove(key, domain, look, lives, budget, keep_going)
            except NotFound as error:
                # left as it is: a deletion here and one by the other server could cross each other
                return retry_or_fail(claim, Judged(Verdict.TRY_AGAIN, 1, str(error), 0), self._config)
        if judged.verdict is Verdict.CALLED_OFF:
            raise CalledOff
        if judged.verdict is not Verdict.GOOD:
            _end_if_called_off(keep_going)
            self._remove_part(domain)
            if judged.verdict is Verdict.TRY_AGAIN or judged.limited:
                servers.check()
            judged = despite(judged, servers.restarted(lives))
            _give_back_when_busy(judged)
            if servers.folder_vanished(domain):
                judged = despite(judged, f"the folder of {domain} was removed meanwhile")
            return retry_or_fail(claim, judged, self._config)
        if servers.source.look(key) != before:
            return Outcome(State.NEW, 0, "the source changed while it was loaded")
        return Outcome(State.LOADED, 0, mode=mode.value, source=before)

    def _run(self, key: str, domain: str, budget: Budget, keep_going: KeepGoing) -> tuple[Mode, Look | None, Judged]:
        """Look at the file, then run hsload in the wanted mode, and in the next one where that cannot work."""
        mode = Mode.LINK if self._config.link_files else Mode.INGEST
        with timed("look"):
            look, judged = self._tools.look(key, mode, budget, keep_going)
        if look is None:
            return mode, None, judged  # what was loaded of it could not be proven
        copied = Mode.UNFILTERED if look.unkept else Mode.INGEST
        if look.unkept and mode is Mode.INGEST:
            event(logging.INFO, "load without its filters", reason=look.unkept)
            mode = copied
        if refused := look.refusal or (look.swelling if mode is not Mode.LINK else ""):
            return mode, look, Judged(Verdict.BAD, 1, refused, judged.seconds)
        if look.obstacle and mode is Mode.LINK:
            judged = Judged(Verdict.BAD, 1, f"cannot be linked: {look.obstacle}", judged.seconds, copied)
        else:
            _foresee(look, mode)
            with timed("hsload"):
                judged = self._tools.load(key, domain, mode, budget, keep_going)
        while judged.next_mode and (mode is not Mode.LINK or self._config.link_fallback == "ingest"):
            if look.swelling:
                return mode, look, Judged(Verdict.BAD, 1, look.swelling, judged.seconds)
            mode = copied if judged.next_mode is Mode.INGEST else judged.next_mode
            event(logging.INFO, "load goes on", mode=mode.value, reason=judged.reason)
            _foresee(look, mode)
            with timed("hsload"):
                judged = self._tools.load(key, domain, mode, budget, keep_going)
        if judged.verdict is Verdict.GOOD and (mode is Mode.VALUES or look.spoiled):
            with timed("repair"):
                judged = self._tools.repair(key, domain, mode, budget, keep_going)
        elif judged.verdict is Verdict.BAD and (object_named := self._tools.explain(key, budget, keep_going)):
            judged = replace(judged, reason=f"{object_named}; hsload: {judged.reason}")
        return mode, look, judged

    def _prove(
        self,
        key: str,
        domain: str,
        look: Look,
        lives: dict[str, int],
        budget: Budget,
        keep_going: KeepGoing,
    ) -> Judged:
        """Is the domain in storage, has it all that the file has, and does everyone see it? Raises NotFound."""
        cluster, pod = self._servers.cluster, self._servers.pod
        with timed("flush"):
            self._flush(domain, keep_going)
        restarted = self._servers.restarted(lives)
        if restarted:
            return Judged(Verdict.TRY_AGAIN, 1, restarted, 0)
        with timed("count"):
            root, counts = of_domain(pod, domain)
        lost = look.counts.missing_in(counts)
        if lost:
            return self._named(key, domain, f"hsload left the domain with {lost}", budget, keep_going)
        if self._config.public_read:
            _end_if_called_off(keep_going)
            # by the cluster's server: it then has the domain with these rights, and not one from before them
            cluster.make_public(domain)
        if cluster.root_of(domain) != root:
            raise NotFound(f"HSDS at {cluster.endpoint} still has an older {domain}")
        return Judged(Verdict.GOOD, 0, "", 0)

    def _named(self, key: str, domain: str, lost: str, budget: Budget, keep_going: KeepGoing) -> Judged:
        """What is missing, by the full comparison. It may be whole the next time: an answer may have been lost."""
        with timed("verify"):
            judged = self._tools.verify(key, domain, budget, keep_going)
        reason = lost if judged.verdict is Verdict.GOOD else f"{lost}: {judged.reason}"
        return judged if judged.verdict is Verdict.CALLED_OFF else Judged(Verdict.TRY_AGAIN, 1, reason, judged.seconds)

    def _flush(self, domain: str, keep_going: KeepGoing) -> None:
        """Return when the domain is in storage. Raises CalledOff, or Unavailable after FLUSH_SECONDS.

        A request for a flush waits for 10 s and is then answered with 500. A store that is slower than hsload still has
        a whole cache to take: not to wait for it would be to load the file again, and again.
        """
        deadline = time.monotonic() + FLUSH_SECONDS
        while True:
            try:
                self._servers.pod.flush(domain)
                return
            except Unavailable as error:
                if not error.status or time.monotonic() > deadline:
                    raise
            _end_if_called_off(keep_going)

    def _forget_old(self, claim: Claim, domain: str, keep_going: KeepGoing) -> None:
        """Delete the domain of an earlier load through the cluster's server.

        It would keep the old one in its cache for an hour, whose root group is gone; to drop only its cached copy
        (meta_only) reaches the service node but not the data node. Before the first load there is none, as a rule; the
        proof would see it.
        """
        again = claim.attempt > 1 or claim.row.loadmode or claim.row.version
        if again and self._servers.pod is not self._servers.cluster:
            _end_if_called_off(keep_going)
            self._servers.cluster.delete_domain(domain)

    def _remove_part(self, domain: str) -> None:
        """Remove what a failed load left: a domain that is there is a domain that is whole."""
        try:
            self._servers.pod.delete_domain(domain)
        except HsdsError as error:
            event(logging.WARNING, "a failed load left a part", error=error, domain=domain)


class CheckJob:
    """Compares a loaded domain with its source, as the settings say: by hsdiff, by the full comparison, or by both."""

    work = CHECK
    lets_go = False

    def __init__(self, config: Config, servers: Servers, tools: Tools) -> None:
        self._config, self._servers, self._tools = config, servers, tools

    def run(self, claim: Claim, keep_going: KeepGoing, let_go: LetGo) -> Outcome:
        row = claim.row
        if row.version != row.loadversion or self._replaced(claim):
            return Outcome(State.NEW, 0, "the source changed after it was loaded")
        lives = self._servers.pod.lives()
        judged = self._compare(row.filename, self._config.domains.of(row.filename), keep_going)
        if judged.verdict is not Verdict.GOOD:
            judged = despite(judged, self._servers.restarted(lives))
            _give_back_when_busy(judged)
        if judged.verdict is Verdict.TRY_AGAIN or judged.limited:
            self._servers.check()
        if self._replaced(claim):
            return Outcome(State.NEW, 0, "the source changed while it was checked")
        if judged.verdict is Verdict.GOOD:
            if not self._servers.pod.reads_from_storage(row.loaddone):
                return Outcome(State.CHECK_FAILED, 1, NOT_PROVEN.format(self._servers.pod.endpoint))
            return Outcome(State.VERIFIED, 0, judged.reason)
        return retry_or_fail(claim, judged, self._config)

    def _compare(self, key: str, domain: str, keep_going: KeepGoing) -> Judged:
        """The verdict of the configured methods, with who gave it.

        With both, the full comparison has the last word: hsdiff alone called 15 of 147 good copies different (NaN,
        empty selections, references …) and passed 3 with wrong attributes. What a good run of hsdiff proved is not
        compared again.
        """
        method, budget = self._config.diff_method, Budget(self._config.diff_time_limit, "diff_time_limit")
        by_hsdiff = None
        if method != "verify":
            with timed("hsdiff"):
                by_hsdiff = self._tools.diff(key, domain, budget, keep_going)
        if by_hsdiff and by_hsdiff.verdict is Verdict.CALLED_OFF:
            raise CalledOff
        if by_hsdiff and method == "hsdiff":
            good = by_hsdiff.verdict is Verdict.GOOD
            return replace(by_hsdiff, reason="PASSED by hsdiff" if good else f"hsdiff: {by_hsdiff.reason}")
        passed = by_hsdiff is not None and by_hsdiff.verdict is Verdict.GOOD
        with timed("verify"):
            judged = self._tools.verify(key, domain, budget, keep_going, after_hsdiff=passed)
        if judged.verdict is Verdict.CALLED_OFF:
            raise CalledOff
        if judged.verdict is Verdict.GOOD:
            words = "by hsdiff and a comparison of the rest" if passed else "by full comparison"
            judged = replace(judged, reason=f"{judged.reason} {words}")
        elif passed:
            judged = replace(judged, reason=f"{judged.reason} (hsdiff passed it)")
        if by_hsdiff and not passed:
            judged = replace(judged, reason=f"{judged.reason}; hsdiff: {by_hsdiff.reason}")
        return judged

    def _replaced(self, claim: Claim) -> bool:
        now = self._servers.source.look(claim.row.filename)
        # a source that vanished is not a new one: the tools will say that it cannot be opened
        return now is not None and now != claim.row.source
