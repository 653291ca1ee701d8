"""What an attempt at a file comes to, as data: returned, refused, to be tried again, or called off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from bucket_loader.errors import AttemptFailed, CalledOff, Retry
from bucket_loader.load.hsload import Mode, WrongMode


class Verdict(Enum):
    GOOD = "good"
    BAD = "said no"
    TRY_AGAIN = "said to try again"
    CALLED_OFF = "was called off"


@dataclass(frozen=True)
class Attempt:
    verdict: Verdict
    status: int = 0
    reason: str = ""
    next_mode: Mode | None = None
    busy: bool = False
    limited: bool = False


def attempt(act: Callable[[], object]) -> Attempt:
    """Do it. What it returns, if that is a text, is the reason of a good attempt."""
    try:
        said = act()
    except CalledOff:
        return Attempt(Verdict.CALLED_OFF)
    except AttemptFailed as failure:
        return Attempt(
            Verdict.TRY_AGAIN if isinstance(failure, Retry) else Verdict.BAD,
            failure.status,
            failure.reason,
            failure.next_mode if isinstance(failure, WrongMode) else None,
            failure.busy,
            failure.limited,
        )
    return Attempt(Verdict.GOOD, 0, said if isinstance(said, str) else "")
