"""The log: one line per event, as text for people or as JSON for collectors, with the same fields in both.

`event(logging.INFO, "load ended", key=…, seconds=…)` is `load ended key=… seconds=…` or an object with these members.
What a process or a stretch of work always says (its pod, the row in hand) is bound once and added to every line.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import NoReturn, TextIO

logger = logging.getLogger("bucket_loader")

LIBRARIES = ("h5pyd", "botocore", "boto3", "urllib3", "s3fs")
FIRST = ("key", "row", "attempt", "seconds", "bytes", "outcome")  # in this order; the pod comes last
SHORTEST_SECRET = 6  # to mask a shorter one would mask half of the log
MASK = "**********"

_bound: ContextVar[Mapping[str, object]] = ContextVar("bound", default={})  # noqa: B039 - never changed in place
_phase: ContextVar[Phase | None] = ContextVar("phase", default=None)


def printable(text: str) -> str:
    """The text without what a terminal would obey: control characters, escape sequences, marks that turn the direction
    of writing, lone surrogates. They are written as Python writes them, so that the text fits one line of any log."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def clear_line(text: str, width: int = 400) -> str:
    """A message as one line that a log and a row can take; a long one loses its middle."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= width else f"{line[: width * 2 // 3]}…{line[-(width // 3) :]}"


def printable_json(value: object) -> str:
    """JSON on one line, with the same characters written as JSON writes them."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if text.isprintable() else "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


def complain(message: str) -> None:
    """Say on standard error what a person has to see; a message may have several lines."""
    print("\n".join(map(printable, message.split("\n"))), file=sys.stderr, flush=True)


class Parser(argparse.ArgumentParser):
    """A parser whose complaints, which hold what was given to it, are printable."""

    def error(self, message: str) -> NoReturn:
        super().error(printable(message))


class Event:
    """A message: what happened, and its fields. An `error` stands behind it, as in `waiting: no such bucket`."""

    def __init__(self, what: str, values: Mapping[str, object]) -> None:
        self.what, self.values = what, values

    def __str__(self) -> str:
        values = dict(self.values)
        error = values.pop("error", None)
        return " ".join(filter(None, [f"{self.what}: {_one_line(error)}" if error else self.what, fields(**values)]))


def event(level: int, what: str, /, **values: object) -> None:
    """Log one event. Fields that are None are left out; `trace=True` adds the stack trace of the error in hand."""
    if logger.isEnabledFor(level):
        found = {name: value for name, value in {**_bound.get(), **values}.items() if value is not None}
        trace = found.pop("trace", None)
        names = [name for name in FIRST if name in found]
        names += [name for name in found if name not in FIRST and name != "pod"] + ["pod"] * ("pod" in found)
        logger.log(level, Event(what, {name: found[name] for name in names}), exc_info=bool(trace))


def bind(**values: object) -> None:
    """Add fields to every further line of this thread."""
    _bound.set({**_bound.get(), **values})


@contextmanager
def bound(**values: object) -> Iterator[None]:
    """Add fields to the lines of this thread inside of the block."""
    token = _bound.set({**_bound.get(), **values})
    try:
        yield
    finally:
        _bound.reset(token)


class Phase:
    """The step that a thread is at, for others to see: its name, for how many seconds, and how far it has come."""

    def __init__(self) -> None:
        self._now = ("", time.monotonic())
        self.numbers: Mapping[str, int] = {}

    @property
    def step(self) -> str:
        return self._now[0]

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._now[1]


@contextmanager
def phases() -> Iterator[Phase]:
    """What this thread is at inside of the block, kept up to date by `timed`."""
    phase = Phase()
    token = _phase.set(phase)
    try:
        yield phase
    finally:
        _phase.reset(token)


def advanced(numbers: Mapping[str, int]) -> None:
    """How far the step of this thread has come."""
    if phase := _phase.get():
        phase.numbers = numbers


@contextmanager
def timed(step: str) -> Iterator[None]:
    """Log in DEBUG how many seconds a step of a row's work took."""
    began = time.monotonic()
    phase = _phase.get() or Phase()
    before, phase._now, phase.numbers = phase._now, (step, began), {}
    try:
        yield
    finally:
        phase._now, phase.numbers = before, {}
        event(logging.DEBUG, "step", step=step, seconds=time.monotonic() - began)


class Text(logging.Formatter):
    """A line for people."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S%z")
        spelled = {form for secret in secrets if len(secret) >= SHORTEST_SECRET for form in _spellings(secret)}
        # the longest first: no spelling is left in half
        self._secrets = sorted((form for form in spelled if len(form) >= SHORTEST_SECRET), key=len, reverse=True)

    def format(self, record: logging.LogRecord) -> str:
        return self._masked("\n".join(map(printable, super().format(record).split("\n"))))

    def _masked(self, line: str) -> str:
        for secret in self._secrets:
            line = line.replace(secret, MASK)
        return line


class Json(Text):
    """An object on a line: time, level, event, and the fields with their types."""

    def format(self, record: logging.LogRecord) -> str:
        made: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created).astimezone().isoformat(timespec="milliseconds"),
            "level": record.levelname,
        }
        if isinstance(record.msg, Event):
            made |= {"event": record.msg.what} | {name: _member(value) for name, value in record.msg.values.items()}
        else:
            made |= {"event": _one_line(record.getMessage()), "logger": record.name}
        if record.exc_info:
            made["trace"] = self.formatException(record.exc_info)
        return self._masked(printable_json(made))


def _spellings(secret: str) -> Iterator[str]:
    """A secret as the lines of a log may hold it: as it is, on one line, quoted, in JSON, printable."""
    for text in (secret, _one_line(secret)):
        quoted = text.replace("\\", "\\\\")
        yield from (text, printable(text), printable_json(text)[1:-1])
        # Python escapes a quote where the whole text, not the secret, holds both kinds
        yield from (printable(quoted), printable(quoted.replace("'", "\\'")))


def set_up(level: str, stream: TextIO = sys.stdout, style: str = "text", secrets: Iterable[str] = ()) -> None:
    """Send this package's log to a stream, and keep the libraries quiet.

    h5pyd logs an error of its own for what is retried or reported here in one line, so that it is heard in DEBUG only.
    What equals one of the `secrets` is masked, wherever it comes from.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Json(secrets) if style == "json" else Text(secrets))
    libraries = logging.WARNING if level == "DEBUG" else logging.CRITICAL
    for one in (logger, *map(logging.getLogger, LIBRARIES)):
        one.handlers[:] = [handler]
        one.propagate = False
        one.setLevel(libraries)
    logger.setLevel(level)


def fields(**values: object) -> str:
    """`a=1 b="x y"`: the end of a log line. Values with spaces or quotes are quoted; None is left out."""
    return " ".join(f"{name}={_quoted(value)}" for name, value in values.items() if value is not None)


def _quoted(value: object) -> str:
    if isinstance(value, dict):
        return printable_json(value)
    text = f"{value:.1f}" if isinstance(value, float) else str(value)
    return repr(text) if not text or any(c.isspace() or c in "\"'" for c in text) or not text.isprintable() else text


def _member(value: object) -> object:
    if isinstance(value, float):
        return round(value, 3)
    return value if isinstance(value, bool | int | dict) else _one_line(value)


def _one_line(value: object) -> str:
    return " ".join(str(value).split())
