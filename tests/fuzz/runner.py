"""Damaged files through the children of a worker, and what must hold of each answer and of the process that waits.

A file may be refused, may be unreadable, may crash or hang the HDF5 library in its child: each is said in one line.
What may not happen is called a finding: an answer that cannot be read, a stack trace, a child beyond its limits, and a
comparison that calls two files the same that are not.
"""

from __future__ import annotations

import itertools
import multiprocessing.forkserver
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bucket_loader.children import forkserver, supervise
from bucket_loader.children.limits import Budget, Limits
from bucket_loader.children.supervise import Finished
from bucket_loader.children.tool import Children, KeepGoing, Tools
from bucket_loader.load import hsload, steps
from bucket_loader.load.hsload import Mode
from bucket_loader.load.preflight import Preflight
from bucket_loader.s3 import Source
from bucket_loader.storage import ids
from bucket_loader.storage.target import Target
from tests.attempts import Attempt, Verdict, attempt
from tests.faults.drill import children
from tests.fuzz.damage import Case
from tests.fuzz.structures import Seed
from tests.world import TARGET, World

TIME_LIMIT = 20  # seconds of a child; a good one takes a tenth of one
KEPT = 2  # children of the direct engine that wait for the next file, one for each thread
HELD = 4 + 2 * KEPT  # open files: what multiprocessing still holds of the last child of each thread, and of these
LONGEST_REASON = 2000
WARM_UP = 10  # cases, after which the process that waits should hold all that it needs
_TRACE = "Traceback (most recent call last)"
# bytes that a child may have in memory: its limit is that of its data, and it has code and what it shares beside that
CHILD_MEMORY = (900 + 400) << 20
GROWTH = 64 << 20  # bytes that the waiting process may grow by in a run


@dataclass(frozen=True)
class Finding:
    """Something that no file may do."""

    case: str
    step: str
    what: str

    def __str__(self) -> str:
        return f"{self.case}: {self.step}: {self.what}"


@dataclass
class Tally:
    """What became of the cases: how many by step and outcome, what was found, which took longest."""

    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    readable: list[str] = field(default_factory=list)  # cases that a load would be tried with
    broken: list[str] = field(default_factory=list)  # those that can be opened and not be read through
    slow: list[tuple[float, str, str, str]] = field(default_factory=list)
    cases: int = 0
    largest: tuple[int, str] = (0, "")  # bytes of memory of a child, and the cases at that time

    def add(self, case: str, step: str, attempted: Attempt, seconds: float, outcome: str) -> None:
        self.outcomes[step, outcome] += 1
        self.slow = sorted([*self.slow, (seconds, case, step, attempted.reason)], reverse=True)[:10]


class _Watched(Tools):
    """A worker's tools that remember, by thread, what their last child printed."""

    def __init__(self, world: World, **settings: object) -> None:
        tools = Path(sys.executable).parent
        config = world.config(hsload=tools / "hsload", hsdiff=tools / "hsdiff", **settings)
        super().__init__(config, Source(config))
        self.last = threading.local()

    def run(self, argv: Sequence[str], env: Mapping[str, str], budget: Budget, keep_going: KeepGoing) -> Finished:
        self.last.run = run = super().run(argv, env, budget, keep_going)
        return run

    def children(self) -> Children:
        return self.within(budget(), _always)


class Runner:
    """Runs cases in two threads, as a worker with two slots would. `verified` seeds are compared with a domain."""

    def __init__(self, world: World, seeds: Mapping[str, Seed], verified: Collection[str]) -> None:
        self._world, self._seeds = world, seeds
        self._domains = {name: "" for name in seeds if name not in verified}
        self._tools = _Watched(world, load_time_limit=TIME_LIMIT, diff_time_limit=TIME_LIMIT)
        self._client = world.servers.s3.client()
        self._target = Target(Source(world.config()), TARGET)
        self._lock, self._loading = threading.Lock(), threading.Lock()
        self.tally = Tally()
        self._running: set[Case] = set()
        forkserver.get_ready()

    def run(self, cases: Iterable[Case], until: float = float("inf"), threads: int = 2) -> Tally:
        """Run cases until none is left, or a time of the monotonic clock."""
        todo = iter(cases)
        with tempfile.TemporaryDirectory(prefix="fuzz-") as folder, _temporary_files_in(folder):
            self._together(itertools.islice(todo, WARM_UP), until, threads)
            before = State.now(Path(folder))
            self._together(todo, until, threads)
            if grown := before.grown_to(State.now(Path(folder))):
                self.tally.findings.append(Finding("all", "the process that waits", grown))
        size, cases_then = self.tally.largest
        if size > CHILD_MEMORY:
            self.tally.findings.append(Finding(cases_then, "a child", f"took {size:,} bytes of memory"))
        return self.tally

    def _together(self, cases: Iterator[Case], until: float, threads: int) -> None:
        workers = [threading.Thread(target=self._work, args=(cases, until)) for _ in range(threads)]
        ended = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(ended,))
        for thread in (*workers, watcher):
            thread.start()
        for thread in workers:
            thread.join()
        ended.set()
        watcher.join()

    def _work(self, cases: Iterator[Case], until: float) -> None:
        while time.monotonic() < until:
            with self._lock:
                case = next(cases, None)
                if case is None:
                    return
                self._running.add(case)
            try:
                self._one(case)
            except Exception as error:
                self._found(case, "the worker", f"{type(error).__name__}: {error}")
            with self._lock:
                self.tally.cases += 1
                self._running.discard(case)

    def _watch(self, ended: threading.Event) -> None:
        """Remember the most memory that a child took."""
        while not ended.wait(0.1):
            for pid in children(os.getpid()):
                if (size := memory(pid, "VmHWM")) > self.tally.largest[0]:
                    self.tally.largest = (size, " and ".join(sorted(map(str, self._running))))

    # -- one case -----------------------------------------------------------------------------------------------------

    def _one(self, case: Case) -> None:
        key = f"{case.seed}/{case.kind}/{case.number}.h5"
        self._put(key, case.body(self._seeds))
        if self._preflight(case, key):
            self._write(case, key)
            self._step(case, "explain", lambda: self._explained(key))
            if domain := self._domain(case.seed):
                judged = self._step(case, "verify", lambda: self._verify(key, domain))
                if judged and judged.verdict is Verdict.GOOD:
                    self._prove(case)
        self._client.delete_object(Bucket=self._world.bucket, Key=key)

    def _domain(self, name: str) -> str:
        """The domain of an undamaged seed, loaded when it is first asked for; "" where it cannot be loaded whole."""
        with self._loading:
            if name not in self._domains:
                key, domain = f"{name}/good.h5", f"{self._world.folder}{name}"
                self._put(key, self._seeds[name].body)
                loaded = attempt(lambda: hsload.load(self._tools.children(), key, domain, Mode.INGEST))
                good = loaded.verdict is Verdict.GOOD and self._verify(key, domain).verdict is Verdict.GOOD
                self._domains[name] = domain if good else ""
            return self._domains[name]

    def _put(self, key: str, body: bytes) -> None:
        self._client.put_object(Bucket=self._world.bucket, Key=key, Body=body)

    def _preflight(self, case: Case, key: str) -> bool:
        """Preflight in both modes; False for a file that cannot be opened, as every other child would say again."""
        found: list[Preflight] = []

        def look(mode: Mode) -> Attempt:
            return attempt(lambda: found.append(steps.preflight(self._tools.children(), key, mode)))

        judged = self._step(case, "look, link", lambda: look(Mode.LINK))
        if judged and "cannot be read: Unable to synchronously open file" in judged.reason:
            return False
        self._step(case, "look, ingest", lambda: look(Mode.INGEST))
        with self._lock:
            if any(not seen.load_problem for seen in found):
                self.tally.readable.append(str(case))
            elif not found:
                self.tally.broken.append(str(case))
        return True

    def _write(self, case: Case, key: str) -> None:
        """By the direct engine, under a root that no domain will name."""
        root = ids.new_root()
        self._step(
            case, "write", lambda: attempt(lambda: steps.write(self._tools.children(), key, root, TARGET, ("0.9.4",)))
        )
        self._target.delete_root(root)

    def _explained(self, key: str) -> Attempt:
        """It only ever adds to a reason: it says something or nothing."""
        said = steps.diagnose(self._tools.children(), key)
        run = self._tools.last.run
        return Attempt(Verdict.GOOD if not run.status else Verdict.BAD, run.status, said or "nothing")

    def _verify(self, key: str, domain: str) -> Attempt:
        return attempt(lambda: self._tools.children().verify(key, domain))

    def _step(self, case: Case, name: str, act: Callable[[], Attempt]) -> Attempt | None:
        """Do one thing as a worker does it, and look at what comes of it."""
        began = time.monotonic()
        try:
            judged = act()
        except Exception as error:
            said = "; ".join(self._tools.last.run.lines[-3:])
            self._found(case, name, f"the answer cannot be read: {type(error).__name__}: {error}; it was {said}")
            return None
        run: Finished = self._tools.last.run
        if time.monotonic() - began > TIME_LIMIT + supervise.TERM_SECONDS + 5:
            self._found(case, name, f"took {time.monotonic() - began:.0f} s")
        if run.ending is supervise.Ending.EXITED and not run.answer:
            self._found(case, name, f"no answer: {'; '.join(run.lines[-3:])}")
        if judged.verdict is Verdict.TRY_AGAIN and run.ending is supervise.Ending.EXITED:
            self._found(case, name, f"to be tried again, although all servers are well: {judged.reason}")
        if not judged.reason and judged.verdict is not Verdict.GOOD:
            self._found(case, name, "no reason")
        if len(judged.reason) > LONGEST_REASON or not judged.reason.isprintable() or _TRACE in judged.reason:
            self._found(case, name, f"a reason of several lines, or too long: {judged.reason[:300]!r}")
        with self._lock:
            self.tally.add(str(case), name, judged, run.seconds, outcome(run, judged))
        return judged

    def _prove(self, case: Case) -> None:
        """A damaged file that was called the same as the domain of the good one must have the same in it."""
        folder = self._world.servers.root
        paths = [folder / f"{threading.get_ident()}-{name}.h5" for name in ("good", "damaged")]
        for path, body in zip(paths, (self._seeds[case.seed].body, case.body(self._seeds)), strict=True):
            path.write_bytes(body)
        argv = [sys.executable, "-m", "tests.fuzz.alike", *map(str, paths)]
        run = supervise.run(argv, dict(os.environ), limits())
        if run.ending is supervise.Ending.EXITED and run.status == 1:
            self._found(case, "verify", f"was called the same, and is not: {'; '.join(run.lines[-2:])}")

    def _found(self, case: Case, step: str, what: str) -> None:
        with self._lock:
            self.tally.findings.append(Finding(str(case), step, what))


def outcome(run: Finished, attempted: Attempt) -> str:
    """What came of a child, in a word or two."""
    if run.ending is not supervise.Ending.EXITED:
        return f"{run.ending.value} {run.status}" if run.ending is supervise.Ending.KILLED else run.ending.value
    return attempted.verdict.value


@dataclass(frozen=True)
class State:
    """What this process holds: bytes of memory (with the one that forks), open files, running children, and what these
    left in the temporary folder."""

    memory: int
    files: int
    processes: int
    temporary: int

    @classmethod
    def now(cls, folder: Path) -> State:
        return cls(
            memory(os.getpid(), "VmRSS") + memory(_forking(), "VmRSS"),
            len(list(Path("/proc/self/fd").iterdir())),
            len(children(os.getpid())),
            len(list(folder.glob("hsds-load-*"))),
        )

    def grown_to(self, other: State) -> str:
        """What another state has too much of; "" when it is as good as this one."""
        found = []
        if other.memory > self.memory + GROWTH:
            found.append(f"{other.memory - self.memory:,} bytes more memory")
        found += [
            f"{name}: {getattr(other, name)}, not {getattr(self, name)}"
            for name, allowed in (("files", HELD), ("processes", KEPT), ("temporary", 0))
            if getattr(other, name) > getattr(self, name) + allowed
        ]
        return "; ".join(found)


def _forking() -> int:
    """The process that children are forked from."""
    server: Any = multiprocessing.forkserver._forkserver
    return int(server._forkserver_pid or 0)


def memory(pid: int, what: str) -> int:
    """VmRSS or VmHWM (the most so far) of a process, in bytes; 0 when it is gone."""
    try:
        line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith(what))
    except (OSError, StopIteration):
        return 0
    return int(line.split()[1]) << 10


@contextmanager
def _temporary_files_in(folder: str) -> Iterator[None]:
    before, tempfile.tempdir = tempfile.tempdir, folder
    try:
        yield
    finally:
        tempfile.tempdir = before


def budget() -> Budget:
    return Budget(TIME_LIMIT, "of this test")


def limits() -> Limits:
    """Of a child that is no tool of a worker."""
    return Limits(budget(), 900 << 20, 1 << 20)


def _always() -> bool:
    return True
