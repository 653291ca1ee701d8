"""No child outlives its parent: a row whose worker was killed belongs to nobody, and neither does its hsload."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

# loaded here: between fork and exec of a child nothing may be imported
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def end_with_parent(parent: int) -> None:
    """On Linux, let the kernel end this process when its parent dies, which may have been killed and cannot do it.

    `parent` is the process that it has to have: one that died before this was said is not seen by the kernel.
    """
    if _LIBC is not None:
        set_parent_death_signal = 1  # PR_SET_PDEATHSIG
        _LIBC.prctl(set_parent_death_signal, signal.SIGKILL)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)
