"""The direct engine: a file's objects go straight into the bucket of HSDS, and one PUT makes them a domain.

Nobody sees a root before a domain names it, so that a load that fails or dies leaves no half of a domain, and readers
of the one before keep it until the switch. The row names every root that may be there: see `inventory.roots`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from ..children.tool import Children
from ..config import Config
from ..errors import AttemptFailed, CalledOff, Retry
from ..hsds import NotFound, Unavailable
from ..inventory import roots
from ..inventory.model import Claim, Outcome
from ..inventory.roots import Replaced
from ..inventory.states import State
from ..log import event, timed
from ..pod.job import ReleaseSlot
from ..pod.servers import Servers
from ..s3 import SourceError
from ..storage import ids
from ..storage.target import Domain, IsFolder, Target
from ..storage.transfers import Traffic
from . import steps
from .attempt import Attempt

VERSIONS = ("0.9.", "1.0.")  # of the cluster's HSDS, whose reading of such domains was tried
# from the loss of a lease to the last key that its worker may still put
ABANDONED_SECONDS = 900
SWITCHES = 20  # of one domain, each of which a reader may undo who asks between its two steps

# writes columns of the claimed row; None when it is another worker's
Note = Callable[[Claim, dict[str, Any]], "Claim | None"]


class DirectLoad(Attempt):
    """The load of one claimed row, without HSDS."""

    engine = "direct"

    def __init__(
        self,
        config: Config,
        servers: Servers,
        children: Children,
        claim: Claim,
        release_slot: ReleaseSlot,
        target: Target,
        note: Note,
    ) -> None:
        super().__init__(config, servers, children, claim, release_slot)
        self._target, self._note = target, note

    def run(self) -> Outcome:
        source = self._head()
        self._make_folder()
        root = self._new_root()
        try:
            try:
                with timed("write"):
                    written = self._write(root)
            finally:
                self._release_slot()
            with timed("publish"):
                self._publish(root)
        except AttemptFailed as failure:
            raise self._clean_up(failure, root) from None
        link = self._config.link_files and (written["linked"] or not written["copied"])
        traffic = {name: written[name] for name in vars(Traffic())}
        outcome = self._finish(source, "link" if link else "ingest", traffic)
        if outcome.state is State.LOADED:
            # the root is a domain's now; without others, nobody need look at the row again
            due = roots.first_due(roots.parse(self._claim.row.oldroots))
            return replace(outcome, columns={"newroot": "", "cleanup": due})
        return outcome

    # -- roots ---------------------------------------------------------------------------------------------------------

    def _new_root(self) -> str:
        """A root that the row names; one that an attempt before this one left is to go."""
        row = self._claim.row
        if self._claim.first:
            return row.newroot
        values: dict[str, Any] = {}
        if row.newroot and self._target.root_of(self._domain) != row.newroot:
            values = self._replaced(row.newroot, ABANDONED_SECONDS)
        new = new_root()
        if row.cleanup:
            new["cleanup"] = min(new["cleanup"], row.cleanup)
        self._record(new | values)
        return str(new["newroot"])

    def _replaced(self, root: str, seconds: float) -> dict[str, Any]:
        """The columns that say of a root that it may go in some time.

        Those whose time has come go now; so does the oldest where the row cannot name one more: it was replaced so many
        times within the grace that only a reader who never looked again can have it.
        """
        row, now = self._claim.row, time.time()
        known = [one for one in roots.parse(row.oldroots) if one.root != root]
        for one in sorted(known, key=lambda one: one.due)[: max(0, len(known) + 1 - roots.MOST)]:
            if one.due > now:
                event(logging.WARNING, "replaced too often: an old version goes early", due=one.due - now)
            self._target.delete_root(one.root)
            known.remove(one)
        kept = [*known, Replaced(root, int(now + seconds))]
        size = sum(self._target.size_of(one.root) for one in kept)
        return {"oldroots": roots.join(kept), "oldbytes": size, "cleanup": roots.first_due(kept)}

    def _record(self, values: dict[str, Any]) -> None:
        claim = self._note(self._claim, values)
        if claim is None:
            raise CalledOff
        self._claim = claim

    # -- write ---------------------------------------------------------------------------------------------------------

    def _write(self, root: str) -> Mapping[str, Any]:
        """Write the objects of the file; what was written (`storage.write.Written`), and `Traffic`."""
        written = steps.write(self._children, self._key, root, self._target.bucket, self._readers())
        event(logging.DEBUG, "written", **{name: value or None for name, value in written.items()})
        if self._config.link_files and written["copied_why"]:
            event(logging.INFO, "not all is linked", copied=written["copied"], reason=written["copied_why"])
        return written

    # -- publish -------------------------------------------------------------------------------------------------------

    def _publish(self, root: str) -> None:
        """Make the root the domain's, and return when readers find it."""
        folder = self._domain.rpartition("/")[0]
        owner, public = self._config.hs_username or "", self._config.public_read
        domain = Domain.of(root, owner, self._target.acls_of(folder), public)
        try:
            old = self._target.root_to_replace(self._domain)
        except IsFolder:
            raise self._folder_there() from None
        if old is None and not self._again and self._servers.shows_target:
            # HSDS looks for a domain that it never had: to ask it, too, was a fifth of the CPU of a small file
            self._end_if_called_off()
            self._target.publish(self._domain, domain)
            return
        if old is not None:
            self._record(self._replaced(old, self._config.replaced_grace))
        self._switch(domain, cached=old is not None)

    def _switch(self, domain: Domain, cached: bool) -> None:
        """Publish until the cluster's HSDS shows it, which may have another version in its caches."""
        cluster, shown = self._servers.cluster, None
        for _ in range(SWITCHES):
            self._end_if_called_off()
            if cached:
                self._forget_old()
            self._target.publish(self._domain, domain)
            shown = cluster.root_of(self._domain)
            if shown == ids.root_id(domain.root):
                self._servers.shows_target = True
                return
            cached = True  # although it may not be in the bucket
        raise Unavailable(f"HSDS at {cluster.endpoint} shows {shown or 'nothing'} where {self._domain} was published")

    def _forget_old(self) -> None:
        """Take the domain out of the cluster's HSDS and its caches; its objects stay, for those who read them."""
        with suppress(NotFound):
            self._servers.cluster.forget_domain(self._domain)

    # -- after a failure -----------------------------------------------------------------------------------------------

    def _clean_up(self, failure: AttemptFailed, root: str) -> AttemptFailed:
        """Remove what was written; the failure.

        Raises CalledOff, and Unavailable or SourceError when a server is away or too busy: that is no attempt.
        """
        self._end_if_called_off()
        if self._target.root_of(self._domain) != root:
            try:
                self._target.delete_root(root)
                self._record({"newroot": ""})
            except SourceError as error:
                event(logging.WARNING, "a failed load left a part", error=error, root=root)
        if isinstance(failure, Retry) or failure.limited:
            self._servers.check()
        if failure.busy:
            raise Unavailable(failure.reason)
        if self._servers.folder_vanished(self._domain):
            failure = Retry(f"the folder of {self._domain} was removed meanwhile")
        return failure


def new_root() -> dict[str, Any]:
    """The columns that name a new root."""
    return {"newroot": ids.new_root(), "cleanup": int(time.time() + ABANDONED_SECONDS)}


def problem(config: Config, servers: Servers, has_roots: bool) -> str:
    """Why files are not loaded in this way; an empty text when they are."""
    if config.load_engine == "hsload":
        return "load_engine is hsload"
    if servers.target is None:
        return "tgt_bucket is not set: which bucket HSDS keeps its objects in is not known"
    if not config.hs_username:
        return "hs_username is not set: a domain has an owner"
    if not has_roots:
        return "the inventory was made by a version whose rows cannot name roots"
    version = servers.version_of(servers.cluster)
    if config.load_engine == "auto" and not version.startswith(VERSIONS):
        return f"the cluster's HSDS is of version {version}"
    return servers.target.refusal(config.tgt_folder.rstrip("/"))
