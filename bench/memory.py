"""Peak memory of processes while something runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psutil

SAMPLE_SECONDS = 0.2


@contextmanager
def peaks(processes: Mapping[str, int]) -> Iterator[dict[str, int]]:
    """The largest resident set of each process tree by name, in bytes, seen until the end of the block."""
    found = dict.fromkeys(processes, 0)
    over = threading.Event()

    def sample() -> None:
        while not over.wait(SAMPLE_SECONDS):
            for name, pid in processes.items():
                found[name] = max(found[name], _resident(pid))

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def _resident(pid: int) -> int:
    try:
        process = psutil.Process(pid)
        return sum(one.memory_info().rss for one in [process, *process.children(recursive=True)])
    except psutil.NoSuchProcess:
        return 0
