"""Makes a root the domain of a claimed row, in one step, and has its readers see it; what it replaces stays a while.

Nobody sees a root before a domain names it. The row names every root that may be in the bucket: see `inventory.roots`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ..children.tool import KeepGoing
from ..config import Config
from ..errors import CalledOff, Refused
from ..hsds import NotFound, Unavailable
from ..inventory import roots
from ..inventory.model import Claim, Row
from ..inventory.roots import Replaced
from ..log import event
from ..storage import ids
from ..storage.target import Domain, IsFolder, Target
from .servers import Servers

SWITCHES = 20  # tries for one domain; a reader who asks between the two steps of one can undo it

# writes columns of the claimed row; None when it is another worker's
Note = Callable[[Claim, dict[str, Any]], "Claim | None"]


def folder_there(domain: str) -> Refused:
    return Refused(f"there is a folder {domain}/ where the domain should be")


def end_switch(config: Config, servers: Servers, note: Note, claim: Claim, keep_going: KeepGoing) -> Claim:
    """The claim, after its row's last switch was ended: see `Publisher.end_switch`."""
    if servers.target is None or not any(one.in_service for one in roots.parse(claim.row.oldroots)):
        return claim
    return Publisher(config, servers, servers.target, claim, note, keep_going).end_switch()


class Publisher:
    """Publishes the roots of one claimed row, whose columns it keeps."""

    def __init__(
        self, config: Config, servers: Servers, target: Target, claim: Claim, note: Note, keep_going: KeepGoing
    ) -> None:
        self._config, self._servers, self.target = config, servers, target
        self._claim, self._note, self._keep_going = claim, note, keep_going
        self.domain = config.domains.of(claim.row.filename)

    @property
    def row(self) -> Row:
        """The row as it is now, with the columns that were recorded."""
        return self._claim.row

    def record(self, values: dict[str, Any]) -> None:
        """Write columns of the row. Raises CalledOff where it is another worker's."""
        claim = self._note(self._claim, values)
        if claim is None:
            raise CalledOff
        self._claim = claim

    def replaced(self, root: str, due: int) -> dict[str, Any]:
        """The columns that say of a root when it may go.

        Those whose time has come go now; so does the oldest where the row cannot name one more: it was replaced so many
        times within the grace that only a reader who never looked again can have it.
        """
        now = time.time()
        known = [one for one in roots.parse(self.row.oldroots) if one.root != root]
        for one in sorted(known, key=lambda one: one.due)[: max(0, len(known) + 1 - roots.MOST)]:
            if one.due > now:
                event(logging.WARNING, "replaced too often: an old version goes early", due=one.due - now)
            self.target.delete_root(one.root)
            known.remove(one)
        return self._named([*known, Replaced(root, due)])

    def _named(self, kept: list[Replaced]) -> dict[str, Any]:
        """The columns that name these roots."""
        size = sum(self.target.size_of(one.root) for one in kept)
        cleanup = roots.first_due(kept, self.row.unpublished)
        return {"oldroots": roots.join(kept), "oldbytes": size, "cleanup": cleanup}

    def publish(self, root: str, again: bool = True) -> None:
        """Make the root the domain's, and return when readers find it; not `again`: the row was never worked on before.

        Raises Refused where there is a folder of the domain's name, CalledOff, and Unavailable or SourceError.
        """
        domain = self._domain_of(root)
        try:
            old = self.target.root_to_replace(self.domain)
        except IsFolder:
            raise folder_there(self.domain) from None
        if old is None and not again and self._servers.shows_target:
            # HSDS has no answer in its cache for a new domain; to ask it took a fifth of the CPU time of a small file
            self._end_if_called_off()
            self.target.publish(self.domain, domain)
            return
        if old is not None:
            self.record(self.replaced(old, roots.IN_SERVICE))
        self._switch(domain, cached=old is not None)

    def _domain_of(self, root: str) -> Domain:
        folder_acls = self.target.acls_of(self.domain.rpartition("/")[0])
        return Domain.of(root, self._config.hs_username or "", folder_acls, self._config.public_read)

    def end_switch(self) -> Claim:
        """End what a worker left that died in the middle of a switch, or could not go on; the claim as it is then.

        Where readers have nothing since then, they get the version before, whatever becomes of the new one.
        Raises CalledOff, and Unavailable or SourceError.
        """
        named = roots.parse(self.row.oldroots)
        before = next(one.root for one in reversed(named) if one.in_service)
        with suppress(IsFolder):
            live = self.target.root_to_replace(self.domain)
            if live is None and self.target.has_root(before):
                event(logging.WARNING, "the version before is put back", reason="its replacement was not ended")
                self._switch(self._domain_of(before), cached=True)
                live = before
            named = [one for one in named if one.root != live]
        values = self._named(self._with_dues(named))
        if self.row.newroot and not self.row.unpublished:
            # what the worker wrote, which may be the domain's by now: the watcher asks
            values["cleanup"] = roots.abandoned_due()
        self.record(values)
        return self._claim

    def _with_dues(self, named: list[Replaced]) -> list[Replaced]:
        """The same, where those that were in service are replaced now."""
        due = int(time.time() + self._config.replaced_grace)
        return [Replaced(one.root, due) if one.in_service else one for one in named]

    def _switch(self, domain: Domain, cached: bool) -> None:
        """Publish until the cluster's HSDS shows it, which may have another version in its caches."""
        cluster, shown = self._servers.cluster, None
        for _ in range(SWITCHES):
            self._end_if_called_off()
            if cached:
                self.hide(self.domain)
            self.target.publish(self.domain, domain)
            shown = cluster.root_of(self.domain)
            if shown == ids.root_id(domain.root):
                self._servers.shows_target = True
                return
            cached = True  # although it may not be in the bucket
        raise Unavailable(f"HSDS at {cluster.endpoint} shows {shown or 'nothing'} where {self.domain} was published")

    def hide(self, domain: str) -> None:
        """Take a domain out of the cluster's HSDS and its caches; its objects stay, for those who read them."""
        with suppress(NotFound):
            self._servers.cluster.forget_domain(domain)

    def columns(self, waiting: str = "") -> dict[str, Any]:
        """The columns of a row whose root is a domain's now, or is `waiting` for its check."""
        named = self._with_dues(roots.parse(self.row.oldroots))
        return {"newroot": waiting, "oldroots": roots.join(named), "cleanup": roots.first_due(named, waiting)}

    # -- before it is checked ------------------------------------------------------------------------------------------

    def name_unchecked(self, root: str) -> str:
        """The domain under which a root is checked that is to be published afterwards."""
        return f"{self._config.tgt_folder}unchecked-{root}.h5"

    def show_unchecked(self, root: str) -> str:
        """Give a root the name under which it is checked, for its owner alone; the name."""
        name = self.name_unchecked(root)
        self._end_if_called_off()
        self.target.publish(name, Domain.of(root, self._config.hs_username or "", {}, public=False))
        return name

    @property
    def is_held(self) -> bool:
        """Whether the row is this worker's, and work may go on."""
        return self._keep_going()

    def _end_if_called_off(self) -> None:
        if not self.is_held:
            raise CalledOff
