"""What every load of a claimed row does, whatever its engine: look at the source before it, and again at its end."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ..children.tool import Children
from ..config import Config
from ..errors import CalledOff, Refused
from ..hsds import Conflict
from ..inventory.model import Claim, Outcome
from ..inventory.states import State
from ..pod.job import ReleaseSlot
from ..pod.publisher import folder_there
from ..pod.servers import Servers
from ..s3 import SourceObject


class Attempt:
    """The load of one claimed row."""

    engine: str

    def __init__(
        self, config: Config, servers: Servers, children: Children, claim: Claim, release_slot: ReleaseSlot
    ) -> None:
        self._config, self._servers, self._children, self._claim = config, servers, children, claim
        self._release_slot, self._keep_going = release_slot, children.keep_going
        self._key = claim.row.filename
        self._domain = config.domains.of(self._key)

    def _expect_domain(self) -> None:
        """Raise Refused for a key that cannot have a domain."""
        # also here, right before anything is changed: the row may be older than the rule, or than the settings
        if refused := self._config.domains.refusal(self._key):
            raise Refused(refused)

    def _head(self) -> SourceObject:
        """The object as it is now. Raises Refused where it is gone."""
        source = self._servers.source.head(self._key)
        if source is None:
            raise Refused("the source object is gone")
        return source

    @property
    def _again(self) -> bool:
        """Whether the row was worked on before: its domain may be there, or remembered."""
        row = self._claim.row
        return bool(self._claim.attempt > 1 or row.loadmode or row.version)

    def _make_folder(self) -> None:
        try:
            self._servers.make_folder_of(self._domain, below=self._config.tgt_folder)
        except Conflict as error:
            raise folder_there(self._domain) from error

    def _end_if_called_off(self) -> None:
        """Raise CalledOff when the process is to end now, or the row is another's: also before a domain is changed.

        A process that was paused past its lease goes on where it was, without knowing, and the domain may be theirs.
        """
        if not self._keep_going():
            raise CalledOff

    def _readers(self) -> list[str]:
        """The versions of HSDS that will read the domain."""
        return sorted({self._servers.version_of(hsds) for hsds in self._servers.endpoints()})

    def _finish(
        self,
        source: SourceObject,
        now: SourceObject | None,
        mode: str,
        traffic: Mapping[str, int] = MappingProxyType({}),
    ) -> Outcome:
        """How a load of this source ended; `now`: what the object was when all of it had been read."""
        if now != source:
            return Outcome(State.NEW, 0, "the source changed while it was loaded")
        return Outcome(State.LOADED, 0, mode=mode, engine=self.engine, source=source, traffic=traffic)
