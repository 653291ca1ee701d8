"""The programs that work on one file, as children: their environment and limits, and what all of their ends mean.

What a program of ours found is in its answer; hsload and hsdiff print it (`printed`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import hdf5plugin

from ..causes import Cause
from ..config import Config
from ..errors import CalledOff, Refused, Retry
from ..log import clear_line
from ..s3 import Source
from . import answer, printed, supervise
from .answer import Answer
from .limits import Budget, Limits
from .supervise import Ending, Finished

KeepGoing = Callable[[], bool]
_PACKAGE = __package__.partition(".")[0]
_CODE = Path(__file__).resolve().parent.parent.parent


class Tools:
    """hsload, hsdiff and our own programs, for one HSDS and one source bucket. May be shared between threads."""

    def __init__(self, config: Config, source: Source, endpoint: str | None = None) -> None:
        """`endpoint`: of the HSDS, for one that is not where this pod works. Raises CommandNotFound."""
        self.config, self.source, self.endpoint = config, source, endpoint or config.working_endpoint
        self.hsload, self.hsdiff = supervise.find(config.hsload), supervise.find(config.hsdiff)

    def within(self, budget: Budget, keep_going: KeepGoing) -> Children:
        """The same for one load or one check: `budget` is the time of all its children together."""
        return Children(self, budget, keep_going)

    def env(self, whole_file: bool) -> dict[str, str]:
        """The environment of a child; `whole_file`: it reads all of the source."""
        config = self.config
        env = _inherited_env() | self.source.child_env(whole_file)
        # the login goes in here and not by the arguments, which every process of the machine can read
        login = {
            "HS_ENDPOINT": self.endpoint,
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

    def run(self, argv: Sequence[str], env: Mapping[str, str], budget: Budget, keep_going: KeepGoing) -> Finished:
        limits = Limits(budget, self.config.child_memory_limit, self.config.child_output_limit)
        return supervise.run(argv, env, limits, keep_going, _is_logged)


@dataclass(frozen=True)
class Children:
    """The tools, for one load or one check."""

    tools: Tools
    budget: Budget
    keep_going: KeepGoing

    def run(self, argv: Sequence[str], whole_file: bool) -> Finished:
        """Run hsload or hsdiff."""
        return self.tools.run(argv, self.tools.env(whole_file), self.budget, self.keep_going)

    def ask(self, module: str, arguments: Sequence[str], whole_file: bool = False) -> Answer:
        """What a program of this package answers: a file that makes it crash or hang does no more harm in a child.

        Raises CalledOff, Refused, Retry.
        """
        env = self.tools.env(whole_file)
        # the child works in a folder of its own: a checkout that is not installed would not be found from there
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(_CODE), env.get("PYTHONPATH")]))
        argv = [sys.executable, "-m", f"{_PACKAGE}.{module}", "--answer", answer.FILE, *arguments]
        return answer_of(self.tools.run(argv, env, self.budget, self.keep_going))

    def at(self, endpoint: str) -> Children:
        """The same for another HSDS."""
        return replace(self, tools=Tools(self.tools.config, self.tools.source, endpoint))

    def verify(self, key: str, domain: str, after_hsdiff: bool = False, sampled: bool = False) -> None:
        """Compare an object with a domain in everything that a domain can hold, or in what a good hsdiff left out.

        `sampled`: of a large dataset, the values at its corners and in its middle alone. Raises CalledOff, Refused
        where they differ, Retry.
        """
        options = ["--strict"] if self.tools.config.strict_diff else []
        options += ["--after-hsdiff"] if after_hsdiff else []
        options += ["--sampled"] if sampled else []
        options += [f"--within={prefix}" for prefix in self.tools.config.src_prefix]
        self.ask("verify", [*options, self.tools.source.url(key), domain], whole_file=not sampled)


def _is_logged(line: str) -> bool:
    return line.startswith(("ERROR", "WARNING"))


def answer_of(run: Finished) -> Answer:
    """What a child of ours found or did. Raises CalledOff, and Refused or Retry for a failure or a difference."""
    if run.ending in (Ending.EXITED, Ending.KILLED):
        try:
            found = Answer.from_json(run.answer)
        except ValueError:
            pass
        else:
            if found.verdict == "done":
                return found
            error = failure(run, found.cause, found.reason)
            if isinstance(error, Retry) and found.verdict != "trouble":
                error.busy = False  # a difference is one, whatever else was too busy to be read
            raise error
    expect_exit(run)
    # a child that could not write its answer may find a better day
    said = printed.telling(run.lines)
    reason = f"a child ended with status {run.status} and left no answer"
    raise Retry(clear_line(f"{reason}: {said}" if said else reason), run.status or 1)


def expect_exit(run: Finished, errors: Sequence[str] = ()) -> None:
    """Raise CalledOff, Refused or Retry for a child that did not exit by itself. `errors`: what it had logged."""
    if run.ending is Ending.EXITED:
        return
    if run.ending is Ending.CALLED_OFF:
        raise CalledOff
    reason = clear_line(run.describe() + (f"; its last error: {errors[-1]}" if errors else ""))
    if run.was_limited:
        raise Refused(reason, run.status or 1, limited=True)
    raise Retry(reason, run.status or 1)


def failure(run: Finished, cause: Cause, reason: str) -> Refused | Retry:
    """The exception for a child that failed for this cause; a reused one may have lost memory to earlier files."""
    reason, status = clear_line(reason), run.status or 1
    if cause == "memory" and not run.reused:
        # the same file takes as much the next time: three tries would be three times the harm
        words = clear_line(f"ran out of memory: a child may have {run.memory}; {reason}")
        return Refused(words, status, limited=True)
    return Refused(reason, status) if cause == "file" else Retry(reason, status, busy=cause == "busy")


def _inherited_env() -> dict[str, str]:
    """This process's environment without the variables that `Source.child_env` decides."""
    decided = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_GATEWAY", "FSSPEC_S3")
    return {key: value for key, value in os.environ.items() if key not in decided}
