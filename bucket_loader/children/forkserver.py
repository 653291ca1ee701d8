"""Starts Python programs of this environment as children forked from a process that has imported what they import.

A fresh hsload spends 0.5 to 0.75 s of CPU on imports, a comparison as much. A forked child has the same arguments,
environment, folder, output and exit status as a fresh one; its process is its own, and its memory goes with it.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import logging
import multiprocessing
import multiprocessing.forkserver
import os
import runpy
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import IO, Any

import tenacity

from ..log import printable
from .chunk_shapes import ask_for_what_is_made
from .limits import apply_limits, end_with_parent

# with what the tools import, a fork is safe on Linux only
POSSIBLE = sys.platform == "linux"
# what the tools import, but not the tools, which read the environment when they are imported. `cli` stands for what our
# programs import again in a child: to preload "__main__" has no effect in Python 3.11
_PRELOAD = ["boto3", "h5py", "h5pyd", "h5pyd._apps.utillib", "s3fs", "hdf5plugin"]
_PACKAGE = __package__.partition(".")[0]
_PRELOAD += [
    f"{_PACKAGE}.{name}"
    for name in (
        "children.forkserver",
        "cli",
        "load.linkable",
        "children.answering",
        "children.signed_reads",
        "verify.compare",
        "storage.write",
        "children.boto_data",
    )
]
# multiprocessing checks on all its children whenever it starts one: of two threads that do so, one could miss an end
_BOOKKEEPING = threading.Lock()
_UNSEEN = 255  # multiprocessing's exit code of a child whose end was not seen; hsload's own, too, when it gives up
_GONE_SECONDS = 0.5  # from the end of a process as its children see it to its end as others see it
CRASHED = 1  # the status of a program that ended with an exception, as Python has it
_FORKING = os.getpid()  # in a child: of the process that forked it


def get_ready() -> None:
    """Start the process that forks, so that the first child does not wait for its imports."""
    if POSSIBLE:
        # nothing here computes with more than one thread, and each takes 40 MB of a child's memory limit: one per core
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        multiprocessing.get_context("forkserver").set_forkserver_preload(_PRELOAD)
        multiprocessing.forkserver.ensure_running()


def entry_of(argv: Sequence[str]) -> str | None:
    """What a command line runs, when it can be forked: `module:function`, or `module` for `python -m module`.

    Only console commands of packages in this environment can, not another program of the same name.
    """
    if not POSSIBLE:
        return None
    if argv[:2] == [sys.executable, "-m"]:
        return argv[2]
    program = Path(argv[0])
    return _commands().get(program.name) if program.parent == Path(sys.executable).parent else None


@cache
def _commands() -> dict[str, str]:
    return {entry.name: entry.value for entry in importlib.metadata.entry_points(group="console_scripts")}


@dataclass(frozen=True)
class Order:
    """What a child is to do: a command line, its environment, a folder to work in, where to print to, and limits."""

    argv: list[str]
    env: dict[str, str]
    folder: str
    output: str
    wanted: dict[int, int]


class Forked:
    """A process that runs a function of this package."""

    def __init__(self, function: Callable[..., None], *arguments: object) -> None:
        self._process, self._forking = _started(function, arguments)
        assert self._process.pid is not None
        self.pid: int = self._process.pid
        self.sentinel: int = self._process.sentinel

    def poll(self) -> int | None:
        """The exit status, or the number of the signal that killed it with a minus; None while it runs."""
        with _BOOKKEEPING:
            code = self._process.exitcode
        if code == _UNSEEN and _is_gone(self._forking):
            return -signal.SIGKILL  # the process that forks was killed, and the kernel ended its children
        return code


class WarmChild(Forked):
    """A forked child that has one file alone: what its supervisor uses of subprocess.Popen."""

    reused = False

    def __init__(self, entry: str, order: Order) -> None:
        super().__init__(_run, entry, order)

    def ended_within(self, seconds: float | None) -> bool:
        return bool(wait([self.sentinel], seconds))

    def wait(self) -> None:
        self.ended_within(None)

    def keep(self) -> bool:
        return False


def path_of(output: IO[bytes]) -> str:
    """The path of an open file for another process: the one that forks does not have it open."""
    return f"/proc/{os.getpid()}/fd/{output.fileno()}"


@tenacity.retry(
    # the process that forks may be dying: the next call starts another one
    retry=tenacity.retry_if_exception_type((ConnectionError, EOFError)),
    wait=tenacity.wait_fixed(0.2),
    stop=tenacity.stop_after_attempt(5),
    reraise=True,
)
def _started(function: Callable[..., None], arguments: tuple[object, ...]) -> tuple[ForkServerProcess, int]:
    """A child that runs, and the process that forked it."""
    get_ready()
    process = ForkServerProcess(target=function, args=arguments, daemon=True)
    server: Any = multiprocessing.forkserver._forkserver
    with _BOOKKEEPING:
        process.start()
        return process, server._forkserver_pid


def _is_gone(pid: int) -> bool:
    """Whether a process has ended, or is about to."""
    deadline = time.monotonic() + _GONE_SECONDS
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state in "ZX":
            return True
        time.sleep(0.02)
    return False


def _run(entry: str, order: Order) -> None:
    """The child: become what a fresh process would be, and run the program."""
    become_fresh(order.env)
    apply_limits(order.wanted)
    os.chdir(order.folder)
    print_to(order.output)
    sys.argv = order.argv[2:] if order.argv[1:2] == ["-m"] else order.argv
    module, _, function = entry.partition(":")
    try:
        if function:
            sys.exit(getattr(importlib.import_module(module), function)())
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except Exception as error:
        tell_crash(error)
        sys.exit(CRASHED)
    finally:
        logging.shutdown()


def become_fresh(env: Mapping[str, str]) -> None:
    """Make a forked process what it would be if it had been started with this environment."""
    os.setsid()
    end_with_parent(_FORKING)
    _let_loader_go()
    os.environ.clear()
    os.environ.update(env)
    _read_environment_again()
    logging.setLogRecordFactory(_record_of_one_line)
    ask_for_what_is_made()


def print_to(output: str) -> None:
    """Append what this process prints, and what libraries print past Python, to a file."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()  # to where it was printed to before
    descriptor = os.open(output, os.O_WRONLY | os.O_APPEND)
    for standard in (1, 2):
        os.dup2(descriptor, standard)
    os.close(descriptor)
    sys.stdout, sys.stderr = (
        os.fdopen(number, "w", 1, "utf-8", "backslashreplace", closefd=False) for number in (1, 2)
    )


def _record_of_one_line(*arguments: Any, **more: Any) -> logging.LogRecord:
    """A tool's log record on one line: a name in a file may hold a line break, and what follows it could pass for a
    record.
    """
    record = logging.LogRecord(*arguments, **more)
    record.msg, record.args = printable(record.getMessage()), None
    return record


def tell_crash(error: BaseException) -> None:
    """Print an exception as Python does, and what it was raised from; its message, too, keeps to one line."""
    if error.__cause__ is not None:
        tell_crash(error.__cause__)
        print("The above exception was the direct cause of the following exception:", file=sys.stderr)
    stack = "".join(traceback.format_tb(error.__traceback__))
    said = printable("".join(traceback.format_exception_only(error)).rstrip())
    print(f"Traceback (most recent call last):\n{stack}{said}", file=sys.stderr)


def _let_loader_go() -> None:
    """Close this child's end of the pipe by which the process that forks knows that its loader lives.

    That process ends, and its children with it, when nobody has the pipe open: a child would keep itself alive.
    """
    server: Any = multiprocessing.forkserver._forkserver
    os.close(server._forkserver_alive_fd)
    server._forkserver_alive_fd = None


def _read_environment_again() -> None:
    """What libraries took from the environment when they were imported."""
    import fsspec.config

    from . import boto_data

    fsspec.config.conf.clear()
    fsspec.config.set_conf_env(fsspec.config.conf)
    fsspec.config.conf.setdefault("s3", {})["session"] = boto_data.session()
    if os.environ.get("PYTHONWARNINGS") == "ignore":
        warnings.simplefilter("ignore")
