"""`python -m tests.fuzz [--seconds N] [--seed N] [--case CASE]`: damaged files for as long as wanted. `make fuzz`."""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bucket_loader.local_servers import POD_SETTINGS, HsdsServer, S3Server
from tests.fuzz.damage import KINDS, Case
from tests.fuzz.loads import load_and_check
from tests.fuzz.runner import Runner, Tally
from tests.fuzz.seeds import seeds
from tests.world import PASSWORD, USER, Servers, World

SHARE_OF_CHILDREN = 0.5  # of the time; the rest is for loads
BATCH = 20  # files in one bucket
VERIFIED = 48  # seeds that are loaded, for their damaged files to be compared with: a load takes as long as ten cases


def chosen(names: Sequence[str], seed: int) -> Iterator[Case]:
    """Cases without an end, in an order that the seed decides: each seed file with each kind of damage in turn."""
    rng = random.Random(seed)
    for number in range(seed * 1_000_000, (seed + 1) * 1_000_000):
        for name in rng.sample(names, len(names)):
            yield from (Case(name, kind, number) for kind in rng.sample(list(KINDS), len(KINDS)))


@contextmanager
def world(root: Path) -> Iterator[World]:
    """Servers of this run's own."""
    with S3Server(root) as s3:
        s3.make_bucket("target")
        with (
            HsdsServer(root, s3, "target", {USER: PASSWORD}, "cluster") as cluster,
            HsdsServer(root, s3, "target", {USER: PASSWORD}, "pod", POD_SETTINGS) as pod,
        ):
            yield World.make(Servers(root, s3, cluster, pod), "fuzz")


def report(tally: Tally) -> str:
    """What became of the cases, as text."""
    lines = [f"{tally.cases} cases; the most memory of a child: {tally.largest[0] >> 20} MiB in {tally.largest[1]}"]
    lines += [f"{count:7} {step}: {what}" for (step, what), count in sorted(tally.outcomes.items())]
    lines += [f"{seconds:6.1f} s {case}: {step}: {reason[:120]}" for seconds, case, step, reason in tally.slow]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    options = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    options.add_argument("--seconds", type=float, default=1200)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--case", help="this one alone, as it was named; its file is kept as fuzz-case.h5")
    told = options.parse_args(arguments)
    files = seeds()
    names = sorted(files)
    random.Random(told.seed).shuffle(names)
    cases: Iterator[Case] = chosen(names, told.seed)
    if told.case:
        case = Case.parse(told.case)
        cases, names = iter([case]), [case.seed]
        Path("fuzz-case.h5").write_bytes(case.body(files))
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder, world(Path(folder)) as here:
        os.environ.update(here.servers.s3.env())
        began = time.monotonic()
        tally = Runner(here, files, names[:VERIFIED]).run(cases, began + told.seconds * SHARE_OF_CHILDREN)
        print(report(tally), flush=True)
        print(f"{len(tally.readable)} of them would be loaded, some of which follow", flush=True)
        found = [*map(str, tally.findings)]
        for number, some in enumerate(batches(tally.readable)):
            if time.monotonic() > began + told.seconds:
                break
            found += loaded(here.servers, number, {str(case): case.body(files) for case in some})
    for finding in found:
        print(f"FOUND {finding}")
    print(f"{len(found)} findings")
    return int(bool(found))


def batches(readable: Sequence[str]) -> Iterator[list[Case]]:
    for start in range(0, len(readable), BATCH):
        yield [Case.parse(text) for text in readable[start : start + BATCH]]


def loaded(servers: Servers, number: int, bodies: dict[str, bytes]) -> list[str]:
    """Load and check some files in both modes; what was found."""
    found = []
    for mode in ("link", "ingest"):
        began = time.monotonic()
        done = load_and_check(World.make(servers, f"{mode} {number}"), bodies, mode == "link")
        states = ", ".join(f"{count} {state}" for state, count in sorted(done.states.items()))
        print(f"{mode}: {states}; {time.monotonic() - began:.0f} s; HSDS took {done.memory >> 20} MiB", flush=True)
        for line in done.different:
            print(f"  {line}", flush=True)
        found += [f"{mode}: {finding}" for finding in done.findings]
    return found


if __name__ == "__main__":
    sys.exit(main())
