"""Peak memory of processes while something runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psutil

SAMPLE_SECONDS = 0.2


@contextmanager
def peaks(processes: Mapping[str, int | str]) -> Iterator[dict[str, int]]:
    """The most memory of each process tree by name, in bytes, seen until the end of the block.

    A tree is that of a process number, or of the script of that name that this process starts meanwhile. Of memory that
    processes share, as a fork and its children do, each has its part (PSS).
    """
    found = dict.fromkeys(processes, 0)
    over = threading.Event()

    def sample() -> None:
        while not over.wait(SAMPLE_SECONDS):
            for name, root in processes.items():
                found[name] = max(found[name], sum(map(_proportional, _tree(root))))

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


def _proportional(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0
