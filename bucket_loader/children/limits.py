"""The limits of one child, so that a file that takes too much ends its own child and no other one.

The kernel enforces them, even while the supervisor is paused or gone. No child outlives its parent: when a worker is
killed, its row becomes free, and its hsload must not go on.
"""

from __future__ import annotations

import ctypes
import math
import os
import resource
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass

# loaded here: between fork and exec of a child nothing may be imported
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
CPU_SLACK_SECONDS = 60  # a child that is still there this long after its time has lost its supervisor


class Budget:
    """The time that all children of one load or of one check have together, from now on."""

    def __init__(self, seconds: float, setting: str) -> None:
        self.seconds, self.setting = seconds, setting
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        return max(0.0, self._end - time.monotonic())


@dataclass(frozen=True)
class Limits:
    """Of one child: its time, in seconds from its start, its memory and what it may write to a file, in bytes."""

    budget: Budget
    memory: int
    output: int

    @property
    def time_words(self) -> str:
        return f"{self.budget.seconds:.0f} s ({self.budget.setting})"

    @property
    def memory_words(self) -> str:
        return f"{self.memory / 2**20:.0f}m (child_memory_limit)"

    @property
    def output_words(self) -> str:
        return f"{self.output / 2**20:.0f}m (child_output_limit)"

    def kernel(self) -> dict[int, int]:
        """The limits that a process sets for itself."""
        wanted = {
            resource.RLIMIT_CPU: math.ceil(self.budget.left) + CPU_SLACK_SECONDS,
            resource.RLIMIT_FSIZE: self.output,
            resource.RLIMIT_CORE: 0,
        }
        if sys.platform == "linux":
            # and not RLIMIT_AS: that counts 240 MB of code and reservations that nobody ever has in memory
            wanted[resource.RLIMIT_DATA] = self.memory
        return wanted


def apply_limits(wanted: Mapping[int, int], for_good: bool = True) -> None:
    """Set limits for this process, as far as its own limits let it; with `for_good`, it cannot raise them again."""
    for kind, value in wanted.items():
        # at one limit of cpu time the kernel sends SIGXCPU, which says why; at the other SIGKILL, which none ignores
        most = value + 1 if kind == resource.RLIMIT_CPU else value
        hard = resource.getrlimit(kind)[1]
        if hard != resource.RLIM_INFINITY:
            value, most = min(value, hard), min(most, hard)
        resource.setrlimit(kind, (value, most if for_good else hard))


def end_with_parent(parent: int) -> None:
    """On Linux, let the kernel end this process when its parent dies, which may have been killed and cannot do it.

    `parent` is the process that it has to have: one that died before this was said is not seen by the kernel.
    """
    if _LIBC is not None:
        set_parent_death_signal = 1  # PR_SET_PDEATHSIG
        _LIBC.prctl(set_parent_death_signal, signal.SIGKILL)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)
