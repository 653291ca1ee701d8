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

    def replaced(self, root: str, seconds: float) -> dict[str, Any]:
        """The columns that say of a root that it may go in some time.

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
        kept = [*known, Replaced(root, int(now + seconds))]
        size = sum(self.target.size_of(one.root) for one in kept)
        return {"oldroots": roots.join(kept), "oldbytes": size, "cleanup": roots.first_due(kept)}

    def publish(self, root: str, again: bool = True) -> None:
        """Make the root the domain's, and return when readers find it; not `again`: the row was never worked on before.

        Raises Refused where there is a folder of the domain's name, CalledOff, and Unavailable or SourceError.
        """
        folder = self.domain.rpartition("/")[0]
        owner, public = self._config.hs_username or "", self._config.public_read
        domain = Domain.of(root, owner, self.target.acls_of(folder), public)
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
            self.record(self.replaced(old, self._config.replaced_grace))
        self._switch(domain, cached=old is not None)

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
        return {"newroot": waiting, "cleanup": roots.first_due(roots.parse(self.row.oldroots), waiting)}

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
