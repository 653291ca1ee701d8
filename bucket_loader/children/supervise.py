"""Runs one program under supervision: its own process group, limits, a heartbeat, an end in every case."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import IO

from ..errors import OperatorError
from ..log import advanced
from ..progress import Ticker
from . import answer, forkserver, kept
from .forkserver import Order, WarmChild
from .kept import KeptChild
from .limits import Limits, apply_limits, end_with_parent

SLICE_SECONDS = 0.1
TERM_SECONDS = 5.0  # from TERM to KILL
KEPT_LINES = 400
LINE_BYTES = 2000


class Ending(Enum):
    """How a child's run ended."""

    EXITED = "exited"
    KILLED = "was killed by signal"  # by somebody else, usually the kernel for lack of memory
    TOO_LONG = "took too long"
    TOO_MUCH = "printed too much"
    CALLED_OFF = "was called off"


@dataclass(frozen=True)
class Finished:
    """A child that is gone. `status` is its exit status, or the number of the signal that killed it.

    `lines` are of its output: those to keep, and the last ones. `answer` is what it left in its folder as that. `limit`
    names the limit that it was ended for, `memory` the one that it may have met by itself. `reused`: it had worked on
    other files before.
    """

    ending: Ending
    status: int
    seconds: float
    lines: list[str] = field(default_factory=list)
    answer: str = ""
    limit: str = ""
    memory: str = ""
    reused: bool = False

    @property
    def was_limited(self) -> bool:
        """Whether a limit of ours ended it: another run would come to the same end."""
        return self.ending in (Ending.TOO_LONG, Ending.TOO_MUCH)

    def describe(self) -> str:
        if self.ending is Ending.KILLED:
            memory = " (out of memory?)" if self.status == signal.SIGKILL else ""
            return f"{self.ending.value} {self.status} {signal.Signals(self.status).name}{memory}"
        if self.was_limited:
            return f"{self.ending.value}: ended after {self.limit}"
        return f"{self.ending.value} with status {self.status}"


class CommandNotFound(OperatorError):
    """A configured command is neither beside this Python nor on PATH."""


def find(command: str) -> str:
    """The path of a command: the one beside this Python, else the first on PATH. Raises CommandNotFound.

    Its own comes first: a virtual environment need not be activated, and a tool that is forked is the one named here.
    """
    beside = str(Path(sys.executable).parent)
    path = shutil.which(command, path=os.pathsep.join([beside, os.environ.get("PATH", os.defpath)]))
    if path is None:
        raise CommandNotFound(
            f"the command {command!r} is neither in {beside} nor on PATH: install h5pyd, or set its path in config.yml"
        )
    return path


def run(
    argv: Sequence[str],
    env: Mapping[str, str],
    limits: Limits,
    keep_going: Callable[[], bool] = lambda: True,
    keep_line: Callable[[str], bool] = lambda _: False,
) -> Finished:
    """Run a program to its end, with no input, in a folder of its own that goes with it.

    `keep_going` is called before the start and then about ten times a second; when it answers False, the child and all
    that it started are ended. The same happens when it raises, and at a limit. Of a long output, the lines for which
    `keep_line` is true and the last ones are given back, some hundred of each.
    """
    if not keep_going():
        return Finished(Ending.CALLED_OFF, 0, 0.0)
    if not limits.budget.left:
        return Finished(Ending.TOO_LONG, 0, 0.0, limit=limits.time_words)
    with tempfile.TemporaryDirectory(prefix="hsds-load-") as folder, tempfile.TemporaryFile() as output:
        started = time.monotonic()
        process = _start(argv, env, folder, output, limits)
        ending = Ending.EXITED
        ticker = Ticker(answer.PROGRESS_SECONDS)
        with _ended(process):
            while not process.ended_within(SLICE_SECONDS):
                if ticker.due():
                    advanced(answer.read_progress(Path(folder)))
                if not keep_going():
                    ending = Ending.CALLED_OFF
                    break
                if over := _limit_reached(limits, output):
                    ending = over
                    break
        status = process.poll() or 0
        if ending is Ending.EXITED:
            ending, status = _how_it_ended(status, limits, output)
        limit = {Ending.TOO_LONG: limits.time_words, Ending.TOO_MUCH: limits.output_words}.get(ending, "")
        output.seek(0)
        lines = _select(_lines(output), keep_line)
        seconds, left = time.monotonic() - started, answer.read(Path(folder))
        return Finished(ending, abs(status), seconds, lines, left, limit, limits.memory_words, process.reused)


def _limit_reached(limits: Limits, output: IO[bytes]) -> Ending | None:
    if os.fstat(output.fileno()).st_size >= limits.output:
        return Ending.TOO_MUCH
    return None if limits.budget.left else Ending.TOO_LONG


def _how_it_ended(status: int, limits: Limits, output: IO[bytes]) -> tuple[Ending, int]:
    """How a child ended that was not ended from here: by itself, by a signal, or at a limit that the kernel keeps."""
    if _limit_reached(limits, output) is Ending.TOO_MUCH or status == -signal.SIGXFSZ:
        return Ending.TOO_MUCH, status
    if status == -signal.SIGXCPU:
        return Ending.TOO_LONG, status
    return (Ending.KILLED, -status) if status < 0 else (Ending.EXITED, status)


class _FreshChild(subprocess.Popen[bytes]):
    """A program that is started as a new process."""

    reused = False

    def __init__(
        self, argv: Sequence[str], env: Mapping[str, str], folder: str, output: IO[bytes], wanted: Limits
    ) -> None:
        kernel, parent = wanted.kernel(), os.getpid()

        def prepare() -> None:
            end_with_parent(parent)
            apply_limits(kernel)

        super().__init__(
            list(argv),
            env=dict(env),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=prepare,
        )

    def ended_within(self, seconds: float) -> bool:
        try:
            self.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def keep(self) -> bool:
        return False


_Child = _FreshChild | WarmChild | KeptChild


def _start(argv: Sequence[str], env: Mapping[str, str], folder: str, output: IO[bytes], wanted: Limits) -> _Child:
    if entry := forkserver.entry_of(argv):
        kind = KeptChild if kept.is_kept(entry) else WarmChild
        return kind(entry, Order(list(argv), dict(env), folder, forkserver.path_of(output), wanted.kernel()))
    return _FreshChild(argv, env, folder, output, wanted)


@contextmanager
def _ended(process: _Child) -> Iterator[None]:
    """Leave nothing of a child's process group behind: TERM, then KILL; but one that is kept for other files."""
    try:
        yield
    finally:
        if process.poll() is None:
            _signal_group(process.pid, signal.SIGTERM)
            if not process.ended_within(TERM_SECONDS):
                _signal_group(process.pid, signal.SIGKILL)
                process.wait()
        if not process.keep():
            # what the child started and left behind
            _signal_group(process.pid, signal.SIGKILL)


def _signal_group(pid: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _select(lines: Iterable[str], keep: Callable[[str], bool]) -> list[str]:
    kept: list[str] = []
    last: deque[str] = deque(maxlen=KEPT_LINES)
    for line in lines:
        if len(last) == KEPT_LINES and len(kept) < KEPT_LINES and keep(last[0]):
            kept.append(last[0])
        last.append(line)
    return kept + list(last)


def _lines(output: IO[bytes]) -> Iterator[str]:
    """The lines that are not empty, cut where they are very long: a whole output may be one line."""
    while line := output.readline(LINE_BYTES):
        rest = line
        while rest and not rest.endswith(b"\n"):
            rest = output.readline(LINE_BYTES)
        if text := line.decode("utf-8", "replace").rstrip():
            yield text
