"""hsload and hsdiff: their arguments, their environment, and what their output means. No other module knows these.

Neither tool's exit status is a verdict: hsload prints ERROR and exits 0 in places, hsdiff's status is the number of
differences (256 is 0), and it prints a read error without counting it.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

import hdf5plugin

from . import child
from .config import Config
from .look import Look
from .source import Source, inherited_env

KeepGoing = Callable[[], bool]
_CODE = Path(__file__).resolve().parent.parent


class Verdict(Enum):
    """What a tool's run means for its file."""

    GOOD = "good"
    BAD = "bad"  # and will be the next time
    TRY_AGAIN = "try again"  # something in the way that may pass
    CALLED_OFF = "called off"


class Mode(Enum):
    """How a file is loaded; the value is what the row says."""

    LINK = "link"  # metadata and chunk locations, the data stays where it is
    INGEST = "ingest"  # all data, with the filters of the source
    UNFILTERED = "unfilt"  # all data, with gzip instead of the source's filters
    VALUES = "values"  # the same, with the values written by ourselves: hsload cannot


@dataclass(frozen=True)
class Judged:
    """A tool's run, judged. `status` is the exit status, `reason` one line; `seconds` of wall time."""

    verdict: Verdict
    status: int
    reason: str
    seconds: float
    next_mode: Mode | None = None  # of a bad load: how it may go well
    busy: bool = False  # a server had no room for it: nothing was learnt of the file


# hsload goes on after these warnings; what they are about is not in the domain, or not as it was (a hard link that it
# leaves out is found by counting)
_LOSSES = (
    "regionreference types not supported",
    "Unexpected link type",
    "not utf8 encodable",
    "No path found for ref object",
)
# filters that HSDS does not undo: a link to such chunks reads back as rubbish, or hangs its readers
_UNREADABLE_LINKS = (
    "not supported by HSDS, this filter will not be used",
    "not supported",
    "ignoring compression_opts for filter",
)
# what hsload says of layouts and filters that a link cannot describe; their data can be copied
_UNLINKABLE = re.compile(r"unexpected dataset_offset|external raw data")
# with a filter of its own, hsload does not ask for bitshuffle, which it does even when told to ignore filters
_LOAD_OPTIONS = {Mode.LINK: ["--link"], Mode.INGEST: [], Mode.UNFILTERED: ["--ignore-filters", "-z", "1"]}
_LOAD_OPTIONS[Mode.VALUES] = ["--nodata", *_LOAD_OPTIONS[Mode.UNFILTERED]]
# what it says when it comes to the values of a bit field or of a tagged opaque type
_UNWRITABLE = re.compile(r"no appropriate function for conversion path")
_UNKNOWN_FILTER = re.compile(r"Unknown compression|filter \{.*\} is not supported")
_PASSING = re.compile(
    r"connection (error|refused|reset|aborted|broken)|Connection ?Error|timed? ?out|Timeout"
    r"|Service Unavailable|(errno|status|status_code|status code):? ?50[0234]\b|:50[0234]$"
    r"|Internal Server Error|Max retries|SlowDown|Throttl|EndpointConnection|RemoteDisconnected|IncompleteRead"
    r"|too many 50\d error"
    r"|ExpiredToken|RequestTimeout|Broken pipe|Connection closed|ServerDisconnected|Please reduce your request rate",
    re.IGNORECASE,
)
# of these, what a server answers that has more work than it takes
_BUSY = re.compile(r"Service Unavailable|too many 503|\b503\b|SlowDown|Please reduce your request rate", re.IGNORECASE)
_LOG_PREFIX = re.compile(r"^(ERROR|WARNING|INFO|DEBUG|CRITICAL)\s+(?:\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+\s+)?")
# lines that say only that there was an error
_EMPTY_WORDS = re.compile(r"^(exiting program with return code|Traceback|During handling|The above exception|\s|\^)")


class Tools:
    """The two programs, set up for one HSDS and one source bucket. May be shared between threads."""

    def __init__(self, config: Config, source: Source) -> None:
        self._config, self._source = config, source
        self.hsload, self.hsdiff = child.find(config.hsload), child.find(config.hsdiff)

    def _env(self, whole_file: bool) -> dict[str, str]:
        config = self._config
        env = inherited_env() | self._source.child_env(whole_file)
        # the login goes in here and not by the arguments, which every process of the machine can read
        login = {
            "HS_ENDPOINT": config.working_endpoint,
            "HS_USERNAME": config.hs_username,
            "HS_PASSWORD": config.password,
            "HS_BUCKET": config.tgt_bucket,
        }
        for name, value in login.items():
            env.pop(name, None)
            if value:
                env[name] = value
        env.update(PYTHONUNBUFFERED="1", PYTHONWARNINGS="ignore", LOG_LEVEL="ERROR")
        # hsload imports hdf5plugin, hsdiff does not: without its filters it cannot read lz4, zstd, blosc …
        env.setdefault("HDF5_PLUGIN_PATH", hdf5plugin.PLUGIN_PATH)
        return env

    def load(self, key: str, domain: str, mode: Mode, keep_going: KeepGoing) -> Judged:
        """Load an object into a domain, which is replaced."""
        argv = [self.hsload, "--loglevel", "warning", *_LOAD_OPTIONS[mode], self._source.url(key), domain]
        env = self._env(whole_file=mode is not Mode.LINK)
        run = child.run(argv, env, self._config.load_time_limit, keep_going, _is_logged)
        return judge_load(run, mode)

    def diff(self, key: str, domain: str, keep_going: KeepGoing) -> Judged:
        """Compare an object with a domain."""
        argv = [self.hsdiff, "--loglevel", "error", self._source.url(key), domain]
        run = child.run(argv, self._env(whole_file=True), self._config.diff_time_limit, keep_going, _is_logged)
        return judge_diff(run)

    def look(self, key: str, mode: Mode, keep_going: KeepGoing) -> tuple[Look | None, Judged]:
        """What a load in a mode has to know of an object; None when it could not be read, and how that came."""
        arguments = [*([] if mode is Mode.LINK else ["--copied"]), self._source.url(key)]
        return judge_look(self._own("look", arguments, False, self._config.load_time_limit, keep_going))

    def explain(self, key: str, keep_going: KeepGoing) -> str:
        """Which object of a file hsload could not load, and why; an empty text when that is not known."""
        run = self._own("explain", [self._source.url(key)], False, self._config.load_time_limit, keep_going)
        return run.lines[-1] if run.ending is child.Ending.EXITED and not run.status and run.lines else ""

    def repair(self, key: str, domain: str, mode: Mode, keep_going: KeepGoing) -> Judged:
        """Write the attributes that hsload spoils, the links that it leaves out, and in that mode all values."""
        options = ["--values"] if mode is Mode.VALUES else []
        arguments = [*options, self._source.url(key), domain]
        return judge_verify(self._own("repair", arguments, bool(options), self._config.load_time_limit, keep_going))

    def verify(self, key: str, domain: str, keep_going: KeepGoing, after_hsdiff: bool = False) -> Judged:
        """Compare an object with a domain in everything that a domain can hold, or in what a good hsdiff left out."""
        options = (["--strict"] if self._config.strict_diff else []) + (["--after-hsdiff"] if after_hsdiff else [])
        arguments = ["--quiet", *options, self._source.url(key), domain]
        return judge_verify(self._own("verify", arguments, True, self._config.diff_time_limit, keep_going))

    def _own(
        self, module: str, arguments: list[str], whole_file: bool, time_limit: float, keep_going: KeepGoing
    ) -> child.Finished:
        """Run a module of this package as a child: a file that makes it crash or hang does no more harm there."""
        env = self._env(whole_file)
        # the child works in a folder of its own: a checkout that is not installed would not be found from there
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(_CODE), env.get("PYTHONPATH")]))
        argv = [sys.executable, "-m", f"{__package__}.{module}", *arguments]
        return child.run(argv, env, time_limit, keep_going, _is_logged)


def judge_load(run: child.Finished, mode: Mode) -> Judged:
    """What a run of hsload means: status and output together."""
    errors = [_bare(line) for line in run.lines if line.startswith("ERROR")]
    warnings = [_bare(line) for line in run.lines if line.startswith("WARNING")]
    early = _not_exited(run, errors)
    if early:
        return early
    telling = _telling(run.lines)
    if run.status or errors:
        reason = next((line for line in errors if not _EMPTY_WORDS.match(line)), telling)
        if telling and telling != reason and "Traceback (most recent call last):" in run.lines:
            reason = telling
        failed = _failed(run, reason or f"hsload exited with status {run.status} and said nothing", run.lines)
        return replace(failed, next_mode=_next_mode(mode, failed.reason))
    losses = [line for line in warnings if any(text in line for text in _LOSSES)]
    if losses:
        return Judged(Verdict.BAD, run.status, losses[0], run.seconds)
    unreadable = [line for line in warnings if any(text in line for text in _UNREADABLE_LINKS)]
    if mode is Mode.LINK and unreadable:
        return Judged(Verdict.BAD, run.status, f"cannot be linked: {unreadable[0]}", run.seconds, Mode.INGEST)
    return Judged(Verdict.GOOD, 0, "", run.seconds)


def judge_look(run: child.Finished) -> tuple[Look | None, Judged]:
    """What a look at a file means. One that exits with another status than 0 leaves the word to hsload."""
    early = _not_exited(run, [])
    if early:
        return None, early
    if run.status == 0 and run.lines:
        return Look.from_json(run.lines[-1]), Judged(Verdict.GOOD, 0, "", run.seconds)
    return None, _failed(run, _telling(run.lines) or f"the look exited with status {run.status}", run.lines)


def _next_mode(mode: Mode, reason: str) -> Mode | None:
    """The mode in which a file may be loaded after all."""
    if mode is not Mode.VALUES and _UNWRITABLE.search(reason):
        return Mode.VALUES
    if mode not in (Mode.UNFILTERED, Mode.VALUES) and _UNKNOWN_FILTER.search(reason):
        return Mode.UNFILTERED
    if mode is Mode.LINK and _UNLINKABLE.search(reason):
        return Mode.INGEST
    return None


def judge_diff(run: child.Finished) -> Judged:
    """What a run of hsdiff means: GOOD only when it exited with 0 and had nothing to say."""
    errors = [_bare(line) for line in run.lines if line.startswith("ERROR")]
    early = _not_exited(run, errors)
    if early:
        return early
    if not run.status and not run.lines:
        return Judged(Verdict.GOOD, 0, "PASSED", run.seconds)
    crashed = "Traceback (most recent call last):" in run.lines
    telling = _telling(run.lines) if crashed or errors else run.lines[0] if run.lines else ""
    if crashed:
        telling = f"hsdiff crashed: {telling}"
    return _failed(run, telling or f"hsdiff exited with status {run.status} and said nothing", run.lines)


def judge_verify(run: child.Finished) -> Judged:
    """What a run of the full comparison means: its exit status is 0 same, 1 different, 2 trouble."""
    early = _not_exited(run, [])
    if early:
        return early
    said = re.sub(r"^(different|trouble) ?(\([^)]*\))?: ", "", _telling(run.lines))
    if run.status == 0 and run.lines:
        return Judged(Verdict.GOOD, 0, "PASSED", run.seconds)
    return _failed(run, said or f"the comparison exited with status {run.status} and said nothing", run.lines)


def _not_exited(run: child.Finished, errors: Sequence[str]) -> Judged | None:
    if run.ending is child.Ending.EXITED:
        return None
    if run.ending is child.Ending.CALLED_OFF:
        return Judged(Verdict.CALLED_OFF, run.status, run.describe(), run.seconds)
    last = f"; its last error: {errors[-1]}" if errors else ""
    return Judged(Verdict.TRY_AGAIN, run.status or 1, run.describe() + last, run.seconds)


def _failed(run: child.Finished, reason: str, lines: Sequence[str]) -> Judged:
    passing = any(_PASSING.search(line) for line in lines)
    busy = passing and any(_BUSY.search(line) for line in lines)
    return Judged(Verdict.TRY_AGAIN if passing else Verdict.BAD, run.status or 1, reason, run.seconds, busy=busy)


def _is_logged(line: str) -> bool:
    return line.startswith(("ERROR", "WARNING"))


def _bare(line: str) -> str:
    return _LOG_PREFIX.sub("", line)


def _telling(lines: Sequence[str]) -> str:
    """The last line that says what happened: of a Python crash, the exception."""
    return next((_bare(line) for line in reversed(lines) if not _EMPTY_WORDS.match(_bare(line))), "")
