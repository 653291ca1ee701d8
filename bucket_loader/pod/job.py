"""What a worker does with a claimed row, as the worker sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from ..children.tool import KeepGoing, Tools
from ..config import Config
from ..inventory.claims import Inventory
from ..inventory.model import Claim, Outcome
from ..inventory.states import Work
from .servers import Servers

ReleaseSlot = Callable[[], None]


class Job(Protocol):
    """A kind of work: a load, or a check.

    `first_columns` are those that go into a row that was never tried, together with its claim. `end_switch` comes
    before anything is done with a row, also with one that is given up: see `pod.publisher`. `run` returns what it
    found, and raises what interrupts it: `Refused` and `Retry` for what stands in the way of this file, `CalledOff`,
    and `Unavailable` or `SourceError` while a server is away: the row is released then. It may release its slot when
    its tools are done and it only waits for servers; `overlaps_flush` says whether it does.
    """

    work: Work
    overlaps_flush: bool

    def first_columns(self) -> Mapping[str, Any]: ...

    def end_switch(self, claim: Claim, keep_going: KeepGoing) -> Claim: ...

    def run(self, claim: Claim, keep_going: KeepGoing, release_slot: ReleaseSlot) -> Outcome: ...


class JobType(Protocol):
    """The class of a job. `prepare` comes once, before all of them: it raises what stands in the way of every one."""

    overlaps_flush: bool

    def prepare(self, config: Config, servers: Servers, inventory: Inventory, /) -> None: ...

    def __call__(self, config: Config, servers: Servers, tools: Tools, inventory: Inventory, /) -> Job: ...
