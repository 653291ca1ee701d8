"""What processes take while something runs: their memory at its peak, or their CPU."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import psutil

SAMPLE_SECONDS = 0.2


def memory_of(process: psutil.Process) -> float:
    """In bytes. Of memory that processes share, as a fork and its children do, each has its part (PSS)."""
    return process.memory_full_info().pss


def cpu_of(process: psutil.Process) -> float:
    """In seconds, since the process began; with that of its children that are no more."""
    times = process.cpu_times()
    return times.user + times.system + times.children_user + times.children_system


@contextmanager
def peaks(
    processes: Mapping[str, int | str], of: Callable[[psutil.Process], float] = memory_of
) -> Iterator[dict[str, float]]:
    """The most memory of each process tree by name, or what else `of` says, seen until the end of the block.

    A tree is that of a process number, or of the script of that name that this process starts meanwhile.
    """
    found = dict.fromkeys(processes, 0.0)
    over = threading.Event()

    def sample() -> None:
        while not over.wait(SAMPLE_SECONDS):
            for name, root in processes.items():
                found[name] = max(found[name], sum(_told(of, process) for process in _tree(root)))

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def _tree(root: int | str) -> list[psutil.Process]:
    try:
        if isinstance(root, int):
            roots = [psutil.Process(root)]
        else:
            roots = [one for one in psutil.Process().children() if any(word.endswith(root) for word in one.cmdline())]
        return roots + [child for one in roots for child in one.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []  # one has just ended


def _told(of: Callable[[psutil.Process], float], process: psutil.Process) -> float:
    try:
        return of(process)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0.0
