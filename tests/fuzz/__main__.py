"""`python -m tests.fuzz [--seconds N] [--seed N] [--case CASE]`: damaged files for as long as wanted. `make fuzz`."""

from __future__ import annotations

import argparse
import itertools
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bucket_loader.config import Engine
from tests.fuzz.damage import KINDS, Case
from tests.fuzz.loads import load_and_check
from tests.fuzz.runner import Runner, Tally
from tests.fuzz.seeds import seeds
from tests.world import Servers, World

SHARE_OF_CHILDREN = 0.5  # of the time; the rest is for loads
BATCH = 20  # files in one bucket
VERIFIED = 48  # seeds that are loaded, for their damaged files to be compared with: a load takes as long as ten cases


def chosen(names: Sequence[str], seed: int) -> Iterator[Case]:
    """Cases without an end, in an order that the seed decides: each seed file with each kind of damage in turn."""
    rng = random.Random(seed)
    for number in range(seed * 1_000_000, (seed + 1) * 1_000_000):
        for name in rng.sample(names, len(names)):
            yield from (Case(name, kind, number) for kind in rng.sample(list(KINDS), len(KINDS)))


def report(tally: Tally) -> str:
    """What became of the cases, as text."""
    lines = [f"{tally.cases} cases; the most memory of a child: {tally.largest[0] >> 20} MiB in {tally.largest[1]}"]
    lines += [f"{count:7} {step}: {what}" for (step, what), count in sorted(tally.outcomes.items())]
    lines += [f"{seconds:6.1f} s {case}: {step}: {reason[:120]}" for seconds, case, step, reason in tally.slow]
    lines += [f"FOUND {finding}" for finding in tally.findings]
    lines += [f"{len(tally.readable)} would be loaded, {len(tally.broken)} were opened and not read through; of these:"]
    return "\n".join(lines)


def options(arguments: Sequence[str] | None) -> argparse.Namespace:
    made = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    made.add_argument("--seconds", type=float, default=1200)
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--case", help="this one alone, as it was named; its file is kept as fuzz-case.h5")
    return made.parse_args(arguments)


def run(servers: Servers, told: argparse.Namespace) -> int:
    """Run cases until their time is over; how many findings there are, each of which is printed."""
    files, began = seeds(), time.monotonic()
    names = random.Random(told.seed).sample(sorted(files), len(files))
    cases: Iterator[Case] = chosen(names, told.seed)
    until = began + told.seconds * SHARE_OF_CHILDREN
    if told.case:
        case = Case.parse(told.case)
        cases, names, until = iter([case]), [case.seed], began + 1000
        Path("fuzz-case.h5").write_bytes(case.body(files))
    here = World.make(servers, f"fuzz {told.seed} {told.case}")
    tally = Runner(here, files, names[:VERIFIED]).run(cases, until)
    print(report(tally), flush=True)
    count = len(tally.findings)
    for number, some in enumerate([[told.case]] if told.case else batches(tally.readable, tally.broken)):
        if time.monotonic() > began + told.seconds:
            break
        bodies = {text: Case.parse(text).body(files) for text in some}
        for mode, engine in itertools.product(("link", "ingest"), ("auto", "hsload")):
            bucket = World.make(servers, f"{mode} {engine} {number} {told.seed} {told.case}")
            count += loaded(bucket, bodies, mode, engine)
    print(f"{count} findings")
    return count


def batches(readable: Sequence[str], broken: Sequence[str]) -> Iterator[list[str]]:
    """Cases to load together: as a rule those that a look has nothing against, and some that it could not read."""
    most = BATCH * 4 // 5
    for number in range(-(-len(readable) // most)):
        yield [*readable[number * most : (number + 1) * most], *broken[number::BATCH][: BATCH - most]]


def loaded(here: World, bodies: dict[str, bytes], mode: str, engine: Engine) -> int:
    """Load and check some files; how many findings there are."""
    began = time.monotonic()
    try:
        done = load_and_check(here, bodies, mode == "link", engine)
    except Exception as error:
        print(f"FOUND {mode}: {', '.join(bodies)}: {type(error).__name__}: {error}"[-4000:], flush=True)
        return 1
    states = ", ".join(f"{count} {state}" for state, count in sorted(done.states.items()))
    print(
        f"{mode}, {engine}: {states}; {time.monotonic() - began:.0f} s; HSDS took {done.memory >> 20} MiB", flush=True
    )
    for line in done.different:
        print(f"  {line}", flush=True)
    for finding in done.findings:
        print(f"FOUND {mode}: {finding}", flush=True)
    return len(done.findings)


def main(arguments: Sequence[str] | None = None) -> int:
    told = options(arguments)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder, Servers.started(Path(folder)) as servers:
        os.environ.update(servers.s3.env())
        return int(bool(run(servers, told)))


if __name__ == "__main__":
    sys.exit(main())
