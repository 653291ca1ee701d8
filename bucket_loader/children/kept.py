"""A child that works on one file after another, because 15 ms of work are not worth a fork of 60 ms.

It takes another file only after a normal end of the one before. Anything else ends it, and so do many files and much
memory. When it crashes, only the file in hand fails, as with a child that has a single file.
"""

from __future__ import annotations

import importlib
import logging
import multiprocessing
import os
import resource
import threading
import time
from multiprocessing.connection import Connection, wait
from pathlib import Path

from .forkserver import CRASHED, Forked, Order, become_fresh, print_to, tell_crash
from .limits import apply_limits

MOST_FILES = 100  # per child: memory that a library forgets to free is bounded
_KEEPERS = ("bucket_loader.storage",)  # programs whose `main(arguments)` may be called again and again
_MEMORY_SHARE = 4  # a child that holds more than one part in so many of its memory limit is not kept


class _Child(Forked):
    """A process that waits for files, in one environment."""

    def __init__(self, entry: str, env: dict[str, str]) -> None:
        self.env, self.files = env, 0
        self.pipe, other = multiprocessing.Pipe()
        super().__init__(_serve, entry, env, other)
        other.close()


_lock = threading.Lock()
_idle: dict[str, list[_Child]] = {}  # by the program


def is_kept(entry: str) -> bool:
    """Whether a program is one whose children are kept."""
    return entry in _KEEPERS


class KeptChild:
    """The work of such a child on one file: what its supervisor uses of subprocess.Popen."""

    def __init__(self, entry: str, order: Order) -> None:
        self._entry = entry
        self._status: int | None = None
        self._fit = False
        self._child = _take(entry, order.env)
        try:
            self._child.pipe.send(order)
        except OSError:  # it ended while it waited
            self._child = _Child(entry, order.env)
            self._child.pipe.send(order)
        self.reused = self._child.files > 0
        self.pid = self._child.pid

    def poll(self) -> int | None:
        """The status of the program, or as that of a child that ended; None while it works."""
        if self._status is None and self._child.pipe.poll():
            try:
                self._status, self._fit = self._child.pipe.recv()
            except (EOFError, OSError):
                wait([self._child.sentinel])
        return self._child.poll() if self._status is None else self._status

    def ended_within(self, seconds: float | None) -> bool:
        return bool(wait([self._child.pipe, self._child.sentinel], seconds))

    def wait(self) -> None:
        self.ended_within(None)

    def keep(self) -> bool:
        """Have the child wait for another file, where it may; else it is to be ended."""
        self._child.files += 1
        if self.poll() != 0 or not self._fit or self._child.files >= MOST_FILES:
            return False
        with _lock:
            _idle.setdefault(self._entry, []).append(self._child)
        return True


def _take(entry: str, env: dict[str, str]) -> _Child:
    """One that waits, or a new one. Those with another environment are ended: their credentials may have expired."""
    with _lock:
        waiting = _idle.pop(entry, [])
        fit = _idle[entry] = [child for child in waiting if child.env == env]
        taken = fit.pop() if fit else None
    for child in waiting:
        if child.env != env:
            child.pipe.close()  # which ends it
    return taken or _Child(entry, env)


def _serve(entry: str, env: dict[str, str], pipe: Connection) -> None:
    """The child: run the program for each file that comes, until none can come any more."""
    become_fresh(env)
    main = importlib.import_module(f"{entry}.__main__").main
    while True:
        try:
            order: Order = pipe.recv()
        except (EOFError, OSError):
            break
        # earlier files have used some of its processor time
        spent = int(time.process_time())
        apply_limits(order.wanted | {resource.RLIMIT_CPU: order.wanted[resource.RLIMIT_CPU] + spent}, for_good=False)
        os.chdir(order.folder)
        print_to(order.output)
        try:
            status = main(order.argv[3:])  # behind python -m MODULE
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else CRASHED
        except Exception as error:
            tell_crash(error)
            status = CRASHED
        os.chdir("/")
        print_to(os.devnull)
        pipe.send((status, _held() * _MEMORY_SHARE < order.wanted.get(resource.RLIMIT_DATA, resource.RLIM_INFINITY)))
    logging.shutdown()


def _held() -> int:
    """Bytes of this process's data, as RLIMIT_DATA counts them."""
    return int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
