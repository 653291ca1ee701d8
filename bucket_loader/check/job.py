"""One domain against its source: by hsdiff, by the full comparison, or by both; and where its readers read it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

from ..children.limits import Budget
from ..children.tool import Children, KeepGoing, Tools
from ..config import Config
from ..errors import AttemptFailed, Refused, Retry
from ..hsds import Unavailable
from ..inventory.claims import Inventory
from ..inventory.model import Claim, Outcome
from ..inventory.states import CHECK, State
from ..log import timed
from ..pod.job import ReleaseSlot
from ..pod.publisher import Publisher, end_switch
from ..pod.servers import Servers
from . import hsdiff
from .unchecked import Unchecked

# why a row whose comparison found nothing is not verified
NOT_PROVEN = (
    "no difference, but not proven: HSDS at {} may have told what it remembers of the load, not what is in storage;"
    " restart its data nodes, or set hsds_local to one that loads nothing, and check again"
)


class CheckJob:
    """Compares a loaded domain with its source, as the settings say."""

    work = CHECK
    overlaps_flush = False

    def __init__(
        self, config: Config, servers: Servers, tools: Tools, inventory: Inventory | None = None
    ) -> None:  # without an inventory, a domain can be compared
        self._config, self._servers, self._tools, self._inventory = config, servers, tools, inventory

    @staticmethod
    def prepare(config: Config, servers: Servers, inventory: Inventory) -> None:
        """There is nothing that would stand in the way of every check."""

    def first_columns(self) -> Mapping[str, Any]:
        return {}

    def end_switch(self, claim: Claim, keep_going: KeepGoing) -> Claim:
        if self._inventory is None:
            return claim
        return end_switch(self._config, self._servers, self._inventory.note, claim, keep_going)

    def run(self, claim: Claim, keep_going: KeepGoing, release_slot: ReleaseSlot) -> Outcome:
        row = claim.row
        if row.version != row.loadversion or self._is_replaced(claim):
            return Outcome(State.NEW, 0, "the source changed after it was loaded")
        publisher = self._publisher(claim, keep_going) if row.unpublished else None
        unchecked = Unchecked.of(publisher) if publisher else None
        lives = self._servers.nodes.lives()
        replaced = Outcome(State.NEW, 0, "the source changed while it was checked")
        domain = self._config.domains.of(row.filename)
        try:
            with unchecked.shown() if unchecked else nullcontext(domain) as name:
                verdict = self.compare(row.filename, name, keep_going)
                if self._reads_what_it_loads() and not self._servers.nodes.read_from_storage(row.loaddone):
                    raise Refused(NOT_PROVEN.format(self._servers.pod.endpoint))
        except AttemptFailed as failure:
            cause = self._cause(failure, lives)
            if self._is_replaced(claim):
                return replaced
            if unchecked:
                cause.reason = f"{unchecked.consequence()}: {cause.reason}"
            raise cause from None
        if self._is_replaced(claim):
            return replaced
        if unchecked:
            with timed("publish"):
                unchecked.publish()
        return Outcome(State.VERIFIED, 0, verdict, columns=publisher.columns() if publisher else {})

    def _publisher(self, claim: Claim, keep_going: KeepGoing) -> Publisher:
        """For a row whose load left its root to the check. Raises Refused where it cannot be published from here."""
        if self._servers.target is None or self._inventory is None:
            raise Refused("it was loaded with publish: after-check, and tgt_bucket is not set here")
        return Publisher(self._config, self._servers, self._servers.target, claim, self._inventory.note, keep_going)

    def compare(self, key: str, domain: str, keep_going: KeepGoing) -> str:
        """What the configured methods say of a good copy, and who says it. Raises CalledOff, Refused, Retry.

        With both, the full comparison has the last word: hsdiff alone called 15 of 147 good copies different (NaN,
        empty selections, references …) and passed 3 with wrong attributes. What a good run of hsdiff proved is not
        compared again.
        """
        children = self._tools.within(Budget(self._config.diff_time_limit, "diff_time_limit"), keep_going)
        through, cluster = self._config.verify_through, self._config.hsds_endpoint
        if through == "cluster":
            children = children.at(cluster)
        how, doubt = self._compare_all(children, key, domain)
        if through == "both" and self._servers.pod is not self._servers.cluster:
            self._compare_samples(children.at(cluster), key, domain)
            how += ", and by samples through the cluster's HSDS"
        return f"PASSED {how}{doubt}"

    def _compare_samples(self, children: Children, key: str, domain: str) -> None:
        """Read parts of a domain through the cluster's HSDS, as its readers do: one of another version may fail where
        the pod's succeeds.
        """
        try:
            with timed("cluster"):
                children.verify(key, domain, sampled=True)
        except (Refused, Retry) as failure:
            failure.reason = f"through the cluster's HSDS at {self._config.hsds_endpoint}: {failure.reason}"
            raise

    def _compare_all(self, children: Children, key: str, domain: str) -> tuple[str, str]:
        """Who proved the copy, and what hsdiff said against it, as an addition to that. Raises CalledOff, Refused,
        Retry.
        """
        method = self._config.diff_method
        passed, doubt = False, ""
        if method != "verify":
            try:
                with timed("hsdiff"):
                    hsdiff.compare(children, key, domain)
                passed = True
            except (Refused, Retry) as failure:
                failure.reason = f"hsdiff: {failure.reason}"
                if method == "hsdiff":
                    raise
                doubt = f"; {failure.reason}"
        if method == "hsdiff":
            return "by hsdiff", ""
        try:
            with timed("verify"):
                children.verify(key, domain, after_hsdiff=passed)
        except (Refused, Retry) as failure:
            failure.reason += " (hsdiff passed it)" if passed else doubt
            raise
        return "by hsdiff and a comparison of the rest" if passed else "by full comparison", doubt

    def _reads_what_it_loads(self) -> bool:
        """Whether the HSDS that was asked may be the one that loaded the domain."""
        return self._config.verify_through != "cluster" or self._servers.pod is self._servers.cluster

    def _cause(self, failure: AttemptFailed, lives: dict[str, int]) -> AttemptFailed:
        """The failure, or the accident that may be behind it. Raises Unavailable, SourceError: that is no attempt."""
        if restarted := self._servers.restarted(lives):
            failure = Retry(restarted)
        if failure.busy:
            raise Unavailable(failure.reason)
        if isinstance(failure, Retry) or failure.limited:
            self._servers.check()
        return failure

    def _is_replaced(self, claim: Claim) -> bool:
        now = self._servers.source.head(claim.row.filename)
        # a source that vanished is not a new one: the tools will say that it cannot be opened
        return now is not None and now != claim.row.source
