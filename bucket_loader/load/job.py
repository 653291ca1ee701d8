"""The story of one file: its preflight, its load, the proof that the domain is whole, and how it ends."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

from ..children.limits import Budget
from ..children.tool import Children, KeepGoing, Tools
from ..config import Config
from ..errors import AttemptFailed, CalledOff, Refused, Retry
from ..hsds import HsdsError, LoginRefused, NotFound, Unavailable
from ..inventory import roots
from ..inventory.claims import Inventory
from ..inventory.model import Claim, Outcome
from ..inventory.states import LOAD
from ..inventory.table import InventoryError
from ..log import event, timed
from ..pod.job import ReleaseSlot
from ..pod.publisher import end_switch
from ..pod.servers import Servers
from . import direct, hsload, steps
from .attempt import Attempt
from .hsload import Mode, WrongMode
from .object_counts import Counts, of_domain
from .preflight import Preflight

FLUSH_SECONDS = 600.0
MANY_REQUESTS = 5000  # of a load that is worth a line: HSDS answers 30 to 200 of them a second


class LoadJob:
    """Loads a source object into its domain, so that it is whole, in storage, and seen by everyone."""

    work = LOAD
    overlaps_flush = True

    def __init__(self, config: Config, servers: Servers, tools: Tools, inventory: Inventory) -> None:
        self._config, self._servers, self._tools, self._inventory = config, servers, tools, inventory

    @staticmethod
    def prepare(config: Config, servers: Servers, inventory: Inventory) -> None:
        """Say how files are loaded. Raises InventoryError where they cannot be loaded as the settings say."""
        problem = _not_direct(config, servers, inventory)
        by = "hsload" if problem else "the direct engine"
        event(logging.INFO, "loads by", engine=by, reason=problem or None)

    def first_columns(self) -> Mapping[str, Any]:
        """The root that the direct engine will write, which the row has to name first."""
        return {} if _not_direct(self._config, self._servers, self._inventory) else direct.new_root()

    def end_switch(self, claim: Claim, keep_going: KeepGoing) -> Claim:
        return end_switch(self._config, self._servers, self._inventory.note, claim, keep_going)

    def run(self, claim: Claim, keep_going: KeepGoing, release_slot: ReleaseSlot) -> Outcome:
        children = self._tools.within(Budget(self._config.load_time_limit, "load_time_limit"), keep_going)
        try:
            return self._load(children, claim, release_slot)
        except NotFound as error:
            # left as it is: a deletion here and one by the other server could cross each other
            raise Retry(str(error)) from error
        except LoginRefused as error:
            if error.status == 401:
                # the password was changed: no file's fault, and every file's fate
                raise Unavailable(str(error)) from error
            raise Refused(str(error)) from error

    def _load(self, children: Children, claim: Claim, release_slot: ReleaseSlot) -> Outcome:
        """By the engine of the settings; `auto`: by hsload where the direct one cannot."""
        config, servers = self._config, self._servers
        problem = _not_direct(config, servers, self._inventory)
        if problem and claim.row.cleanup == roots.NEVER:
            claim = self._give_up_unpublished(claim)
        about = (config, servers, children, claim)
        if not problem and servers.target is not None:
            # by hsload, the slot is needed longer
            release = release_slot if config.load_engine == "direct" else _nothing
            try:
                return direct.DirectLoad(*about, release, servers.target, self._inventory.note).run()
            except Refused as refused:
                if config.load_engine == "direct" or refused.limited:
                    raise
                event(logging.INFO, "load goes on", engine="hsload", reason=refused.reason)
                return self._second_try(_Load(*about, release_slot), refused)
        return _Load(*about, release_slot).run()

    def _give_up_unpublished(self, claim: Claim) -> Claim:
        """Leave a root that waited for its check, under other settings, to the watcher; the claim with that."""
        noted = self._inventory.note(claim, {"cleanup": roots.abandoned_due()})
        if noted is None:
            raise CalledOff
        return noted

    def _second_try(self, load: _Load, refused: Refused) -> Outcome:
        """What hsload makes of a file that the direct engine refused. Raises both reasons where it refuses it, too."""
        try:
            return load.run()
        except Refused as again:
            if not again.reason.startswith(refused.reason):
                again.reason = f"{refused.reason}; hsload: {again.reason}"
            raise


def _not_direct(config: Config, servers: Servers, inventory: Inventory) -> str:
    """Why files are not loaded by the direct engine; an empty text when they are.

    Raises InventoryError where the settings allow no other.
    """
    problem = direct.problem(config, servers, inventory.has_roots)
    if problem and config.load_engine == "direct":
        raise InventoryError(f"load_engine is direct, and cannot be: {problem}")
    return problem


def _nothing() -> None:
    pass


class _Load(Attempt):
    """The load of one claimed row by hsload."""

    engine = "hsload"

    def run(self) -> Outcome:
        self._expect_domain()
        source = self._head()
        self._make_room()
        lives = self._servers.nodes.lives()
        try:
            try:
                found = self._preflight()
                mode = self._load(found)
                self._repair(found, mode)
            finally:
                self._release_slot()
            self._prove(found.counts, lives)
        except AttemptFailed as failure:
            raise self._clean_up(failure, lives) from None
        return self._finish(source, self._servers.source.head(self._key), mode.value)

    # -- before ------------------------------------------------------------------------------------------------------

    def _make_room(self) -> None:
        """Delete the domain of an earlier load, and make the folders."""
        with timed("delete"):
            self._delete_previous()
        self._end_if_called_off()
        self._make_folder()

    def _delete_previous(self) -> None:
        """Delete the domain of an earlier load through the cluster's server.

        It would keep the old one in its cache for an hour, whose root group is gone; to drop only its cached copy
        (meta_only) reaches the service node but not the data node. Before the first load there is none, as a rule; the
        proof would see it.
        """
        servers = self._servers
        if self._again and servers.pod is not servers.cluster:
            self._end_if_called_off()
            servers.cluster.delete_domain(self._domain)

    def _preflight(self) -> Preflight:
        mode = Mode.LINK if self._config.link_files else Mode.INGEST
        with timed("look"):
            return steps.preflight(self._children, self._key, mode, self._readers())

    # -- load --------------------------------------------------------------------------------------------------------

    def _load(self, found: Preflight) -> Mode:
        """Run hsload in the wanted mode, and in the next one where that cannot work; the mode that it was."""
        try:
            mode = self._first_mode(found)
            while True:
                try:
                    self._hsload(found, mode)
                    return mode
                except WrongMode as wrong:
                    mode = self._next_mode(found, mode, wrong)
        except Refused as refused:
            raise self._diagnosed(refused) from None

    def _first_mode(self, found: Preflight) -> Mode:
        mode = Mode.LINK if self._config.link_files else _copy_mode(found)
        if mode is Mode.UNFILTERED:
            event(logging.INFO, "load without its filters", reason=found.filter_problem)
        if problem := found.load_problem or (found.copy_problem if mode is not Mode.LINK else ""):
            raise Undiagnosable(problem)
        return mode

    def _hsload(self, found: Preflight, mode: Mode) -> None:
        if mode is Mode.LINK and found.link_problem:
            raise WrongMode(f"cannot be linked: {found.link_problem}", _copy_mode(found))
        _foresee(found, mode)
        with timed("hsload"):
            hsload.load(self._children, self._key, self._domain, mode)

    def _next_mode(self, found: Preflight, mode: Mode, wrong: WrongMode) -> Mode:
        """The mode to go on with. Raises what refused the one before, where the settings allow no other."""
        if mode is Mode.LINK and self._config.link_fallback != "ingest":
            raise wrong
        if found.copy_problem:
            raise Undiagnosable(found.copy_problem)
        next_mode = _copy_mode(found) if wrong.next_mode is Mode.INGEST else wrong.next_mode
        event(logging.INFO, "load goes on", mode=next_mode.value, reason=wrong.reason)
        return next_mode

    def _diagnosed(self, refused: Refused) -> Refused:
        """The same refusal with the object that hsload failed at, where that can be found out."""
        if isinstance(refused, Undiagnosable):
            return refused
        if object_named := steps.diagnose(self._children, self._key):
            refused.reason = f"{object_named}; hsload: {refused.reason}"
        return refused

    def _repair(self, found: Preflight, mode: Mode) -> None:
        if mode is Mode.VALUES or found.needs_repair:
            with timed("repair"):
                steps.repair(self._children, self._key, self._domain, mode)

    # -- prove -------------------------------------------------------------------------------------------------------

    def _prove(self, expected: Counts, lives: dict[str, int]) -> None:
        """The domain is in storage, has all that the file has, and everyone sees it; else this raises."""
        cluster, pod = self._servers.cluster, self._servers.pod
        with timed("flush"):
            self._flush()
        if restarted := self._servers.restarted(lives):
            raise Retry(restarted)
        with timed("count"):
            root, counts = of_domain(pod, self._domain)
        if lost := expected.missing_in(counts):
            raise self._explained_loss(f"hsload left the domain with {lost}")
        if self._config.public_read:
            self._end_if_called_off()
            # by the cluster's server: it then has the domain with these rights, and not one from before them
            cluster.make_public(self._domain)
        if cluster.root_of(self._domain) != root:
            raise NotFound(f"HSDS at {cluster.endpoint} still has an older {self._domain}")

    def _flush(self) -> None:
        """Return when the domain is in storage. Raises CalledOff, or Unavailable after FLUSH_SECONDS.

        A request for a flush waits for 10 s and is then answered with 500. A store that is slower than hsload still has
        a whole cache to take: not to wait for it would be to load the file again, and again.
        """
        deadline = time.monotonic() + FLUSH_SECONDS
        while True:
            try:
                self._servers.pod.flush(self._domain)
                return
            except Unavailable as error:
                if not error.status or time.monotonic() > deadline:
                    raise
            self._end_if_called_off()

    def _explained_loss(self, lost: str) -> Retry:
        """What is missing, by the full comparison. It may be whole the next time: an answer may have been lost."""
        try:
            with timed("verify"):
                self._children.verify(self._key, self._domain)
        except AttemptFailed as failure:
            return Retry(f"{lost}: {failure.reason}", failure.status)
        return Retry(lost)

    # -- after -------------------------------------------------------------------------------------------------------

    def _clean_up(self, failure: AttemptFailed, lives: dict[str, int]) -> AttemptFailed:
        """Remove what a failed load left; its failure, or the accident that may be behind it.

        An accident counts: the file may be what caused it. Raises CalledOff, or Unavailable and SourceError when a
        server is away or too busy: that is no attempt, and the worker waits.
        """
        self._end_if_called_off()
        self._delete_partial()
        if isinstance(failure, Retry) or failure.limited:
            self._servers.check()
        if restarted := self._servers.restarted(lives):
            failure = Retry(restarted)
        if failure.busy:
            raise Unavailable(failure.reason)
        if self._servers.folder_vanished(self._domain):
            failure = Retry(f"the folder of {self._domain} was removed meanwhile")
        return failure

    def _delete_partial(self) -> None:
        """A domain that is there is a domain that is whole."""
        try:
            self._servers.pod.delete_domain(self._domain)
        except HsdsError as error:
            event(logging.WARNING, "a failed load left a part", error=error, domain=self._domain)


class Undiagnosable(Refused):
    """A refusal that names the object already: the preflight found it."""


def _copy_mode(found: Preflight) -> Mode:
    return Mode.UNFILTERED if found.filter_problem else Mode.INGEST


def _foresee(found: Preflight, mode: Mode) -> None:
    """Say of a load that will take long why it will: small files may have many objects or chunks."""
    copied = mode is not Mode.LINK
    if (requests := found.requests(copied)) >= MANY_REQUESTS:
        counts = found.counts
        event(
            logging.INFO,
            "load will take long",
            objects=counts.groups + counts.datasets + counts.types,
            attributes=counts.attributes,
            chunks=found.chunks if copied else None,
            requests=requests,
        )
