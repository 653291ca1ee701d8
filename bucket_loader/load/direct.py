"""The direct engine: a file's objects go straight into the bucket of HSDS, and one PUT makes them a domain.

Nobody sees a root before a domain names it, so that a load that fails or dies leaves no half of a domain, and readers
of the one before keep it until the switch. The row names every root that may be there: see `inventory.roots`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from ..children.tool import Children
from ..config import Config
from ..errors import AttemptFailed, Refused, Retry
from ..hsds import Unavailable
from ..inventory import roots
from ..inventory.model import Claim, Outcome
from ..inventory.states import State
from ..log import event, timed
from ..pod.job import ReleaseSlot
from ..pod.publisher import Note, Publisher
from ..pod.servers import Servers
from ..s3 import SourceError, SourceObject, etag_of
from ..storage import ids
from ..storage.target import Target
from ..storage.transfers import Traffic, Version
from . import steps
from .attempt import Attempt

VERSIONS = ("0.9.", "1.0.")  # of the cluster's HSDS, whose reading of such domains was tried


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
        self._target = target
        self._publisher = Publisher(config, servers, target, claim, note, children.keep_going)

    def run(self) -> Outcome:
        self._expect_domain()
        self._make_folder()
        root = self._new_root()
        try:
            try:
                with timed("write"):
                    written = self._write(root)
            finally:
                self._release_slot()
            # beside the publication: of a small file far away, each round trip is a fifth of its time
            with ThreadPoolExecutor(1, "head") as beside:
                now = beside.submit(self._servers.source.head, self._key)
                if published := self._config.publish == "after-load":
                    with timed("publish"):
                        self._publisher.publish(root, self._again)
        except AttemptFailed as failure:
            raise self._clean_up(failure, root) from None
        link = self._config.link_files and (written["linked"] or not written["copied"])
        traffic = {name: written[name] for name in vars(Traffic())}
        version = Version(**written["source"])
        source = SourceObject(self._key, version.size, etag_of(version.etag), version.modified)
        outcome = self._finish(source, now.result(), "link" if link else "ingest", traffic)
        if outcome.state is State.LOADED:
            return replace(outcome, columns=self._publisher.columns("" if published else root))
        return outcome

    # -- roots ---------------------------------------------------------------------------------------------------------

    def _new_root(self) -> str:
        """A root that the row names; one that an attempt before this one left is to go."""
        row = self._claim.row
        if self._claim.first:
            return row.newroot
        values: dict[str, Any] = {}
        if row.newroot and self._target.root_of(self._domain) != row.newroot:
            # whose check may have died
            self._publisher.hide(self._publisher.name_unchecked(row.newroot))
            values = self._publisher.replaced(row.newroot, roots.abandoned_due())
        new = new_root()
        if row.cleanup:
            new["cleanup"] = min(new["cleanup"], row.cleanup)
        self._publisher.record(new | values)
        return str(new["newroot"])

    # -- write ---------------------------------------------------------------------------------------------------------

    def _write(self, root: str) -> Mapping[str, Any]:
        """Write the objects of the file; `storage.write.Written`, `Traffic` and the "source"'s `Version`."""
        written = steps.write(self._children, self._key, root, self._target.bucket, self._readers())
        said = {name: value or None for name, value in written.items() if name != "source"}
        event(logging.DEBUG, "written", **said)
        if self._config.link_files and written["copied_why"]:
            event(logging.INFO, "not all is linked", copied=written["copied"], reason=written["copied_why"])
        return written

    # -- after a failure -----------------------------------------------------------------------------------------------

    def _clean_up(self, failure: AttemptFailed, root: str) -> AttemptFailed:
        """Remove what was written; the failure.

        Raises CalledOff, and Unavailable or SourceError when a server is away or too busy: that is no attempt.
        """
        self._end_if_called_off()
        if self._target.root_of(self._domain) != root:
            try:
                self._target.delete_root(root)
                self._publisher.record({"newroot": ""})
            except SourceError as error:
                event(logging.WARNING, "a failed load left a part", error=error, root=root)
        if isinstance(failure, Retry) or failure.limited:
            self._servers.check()
        if failure.busy:
            raise Unavailable(failure.reason)
        if self._servers.folder_vanished(self._domain):
            return Retry(f"the folder of {self._domain} was removed meanwhile")
        try:
            self._head()
        except Refused as gone:
            return gone
        return failure


def new_root() -> dict[str, Any]:
    """The columns that name a new root."""
    return {"newroot": ids.new_root(), "cleanup": roots.abandoned_due()}


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
