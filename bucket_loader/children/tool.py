"""The programs that work on one file: hsload and hsdiff, and our own. Their arguments, environment and limits."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import hdf5plugin

from ..config import Config
from ..load.preflight import Look
from ..s3 import Source, inherited_env
from . import answer, supervise
from .judge import Judged, Mode, Verdict, judge_diff, judge_load, judge_look, judge_own
from .limits import Budget, Limits

KeepGoing = Callable[[], bool]
EXPLAIN_SECONDS = 300.0
_PACKAGE = __package__.partition(".")[0]
_CODE = Path(__file__).resolve().parent.parent.parent
# with a filter of its own, hsload does not ask for bitshuffle, which it does even when told to ignore filters
_LOAD_OPTIONS = {Mode.LINK: ["--link"], Mode.INGEST: [], Mode.UNFILTERED: ["--ignore-filters", "-z", "1"]}
_LOAD_OPTIONS[Mode.VALUES] = ["--nodata", *_LOAD_OPTIONS[Mode.UNFILTERED]]


class Tools:
    """The two programs, set up for one HSDS and one source bucket. May be shared between threads."""

    def __init__(self, config: Config, source: Source) -> None:
        self._config, self._source = config, source
        self.hsload, self.hsdiff = supervise.find(config.hsload), supervise.find(config.hsdiff)

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

    def load(self, key: str, domain: str, mode: Mode, budget: Budget, keep_going: KeepGoing) -> Judged:
        """Load an object into a domain, which is replaced."""
        named = [self._source.url(key), domain]
        argv = [self.hsload, "--loglevel", "warning", *_LOAD_OPTIONS[mode], *named]
        run = self._run(argv, self._env(whole_file=mode is not Mode.LINK), budget, keep_going)
        return judge_load(run, mode, named)

    def diff(self, key: str, domain: str, budget: Budget, keep_going: KeepGoing) -> Judged:
        """Compare an object with a domain."""
        named = [self._source.url(key), domain]
        argv = [self.hsdiff, "--loglevel", "error", *named]
        return judge_diff(self._run(argv, self._env(whole_file=True), budget, keep_going), named)

    def look(self, key: str, mode: Mode, budget: Budget, keep_going: KeepGoing) -> tuple[Look | None, Judged]:
        """What a load in a mode has to know of an object; None when it could not be read, and how that came."""
        limits = [
            f"--max-chunk={self._config.max_chunk_size}",
            f"--max-unwritten={self._config.max_unwritten_size}",
        ]
        arguments = [*limits, *([] if mode is Mode.LINK else ["--copied"]), self._source.url(key)]
        return judge_look(self._own("load.preflight", arguments, False, budget, keep_going))

    def explain(self, key: str, budget: Budget, keep_going: KeepGoing) -> str:
        """Which object of a file hsload could not load, and why; an empty text when that is not known."""
        # it reads values, which can be endless in a damaged file, and may not take what is left of hours for some words
        own = Budget(min(EXPLAIN_SECONDS, budget.left), budget.setting)
        told, judged = judge_own(self._own("load.diagnose", [self._source.url(key)], False, own, keep_going))
        return told.reason if told and judged.verdict is Verdict.GOOD else ""

    def repair(self, key: str, domain: str, mode: Mode, budget: Budget, keep_going: KeepGoing) -> Judged:
        """Write the attributes that hsload spoils, the links that it leaves out, and in that mode all values."""
        options = ["--values"] if mode is Mode.VALUES else []
        arguments = [*options, self._source.url(key), domain]
        _, judged = judge_own(self._own("load.repair", arguments, bool(options), budget, keep_going))
        if judged.verdict in (Verdict.GOOD, Verdict.CALLED_OFF):
            return judged
        return replace(judged, reason=f"what hsload left out cannot be written: {judged.reason}")

    def verify(
        self, key: str, domain: str, budget: Budget, keep_going: KeepGoing, after_hsdiff: bool = False
    ) -> Judged:
        """Compare an object with a domain in everything that a domain can hold, or in what a good hsdiff left out."""
        options = (["--strict"] if self._config.strict_diff else []) + (["--after-hsdiff"] if after_hsdiff else [])
        run = self._own("verify", [*options, self._source.url(key), domain], True, budget, keep_going)
        return judge_own(run, "PASSED")[1]

    def _own(
        self, module: str, arguments: list[str], whole_file: bool, budget: Budget, keep_going: KeepGoing
    ) -> supervise.Finished:
        """Run a module of this package as a child: a file that makes it crash or hang does no more harm there."""
        env = self._env(whole_file)
        # the child works in a folder of its own: a checkout that is not installed would not be found from there
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(_CODE), env.get("PYTHONPATH")]))
        argv = [sys.executable, "-m", f"{_PACKAGE}.{module}", "--answer", answer.FILE, *arguments]
        return self._run(argv, env, budget, keep_going)

    def _run(self, argv: list[str], env: dict[str, str], budget: Budget, keep_going: KeepGoing) -> supervise.Finished:
        limits = Limits(budget, self._config.child_memory_limit, self._config.child_output_limit)
        return supervise.run(argv, env, limits, keep_going, _is_logged)


def _is_logged(line: str) -> bool:
    return line.startswith(("ERROR", "WARNING"))
