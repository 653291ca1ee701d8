"""What a check costs against plain hsdiff, in time and memory, in both modes.

One file of about 300 MB (chunked integers and floats, gzip; contiguous floats) is loaded once in each mode. hsdiff, the
full comparison, and the differ with both take turns, on the same servers. The peak of memory is
that of the process (ru_maxrss), the libraries of about 100 MB with it.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import h5py
import numpy as np
from rich.console import Console

from bench.page import Section, verdict
from bench.stage import Stage
from bucket_loader.local.servers import program

MEGABYTES, GOAL = 300, 1.2
DIFFER = "the differ: hsdiff, then what it leaves out"


def write_file(path: Path, megabytes: int) -> None:
    """Gzipped integers, floats in chunks, contiguous floats; noise, so that nothing compresses away.

    Of contiguous data at most 48 MiB: hsdiff reads it whole, and HSDS answers no request beyond 100 MB.
    """
    noise = np.random.default_rng(300)
    planes = max(1, megabytes // 3)  # of 1 MiB each
    contiguous = min(planes, 48)
    chunked = 2 * planes - contiguous
    with h5py.File(path, "w") as file:
        counts = file.create_dataset(
            "counts", (planes, 512, 512), "i4", chunks=(1, 512, 512), compression="gzip", compression_opts=1
        )
        for plane in range(planes):
            counts[plane] = noise.integers(0, 4096, (512, 512))
        floats = file.create_dataset("floats", (chunked, 256, 512), "f8", chunks=(1, 256, 512))
        plain = file.create_dataset("plain", (contiguous, 256, 512), "f8")
        for data in (floats, plain):
            for plane in range(len(data)):
                data[plane] = noise.random((256, 512)) + 1
        counts.attrs["unit"] = "1"


def timed(argv: Sequence[str], env: Mapping[str, str]) -> tuple[float, int]:
    """Seconds and peak of memory in bytes of a command that must end with 0."""
    watched = (
        "import resource, subprocess, sys; status = subprocess.call(sys.argv[1:], stdout=sys.stderr);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(status)"
    )
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", watched, *argv], env=dict(env), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv)} ended with {done.returncode}: {done.stderr[-500:]}")
    return time.monotonic() - began, int(done.stdout.split()[-1]) << 10


def section(made: Stage, runs: int, console: Console) -> Section:
    """Seconds and memory of a check in each mode, against hsdiff's."""
    path = made.root / "check.h5"
    write_file(path, MEGABYTES)
    bucket = made.bucket("bench-checks", {"check.h5": path.read_bytes()})
    # as the differ gives it to its tools
    options = {"endpoint_url": made.s3.endpoint, "default_block_size": 2 << 20, "default_cache_type": "blockcache"}
    env = made.env() | {"HS_ENDPOINT": made.pod.endpoint, "FSSPEC_S3": json.dumps(options)}
    rows = []
    for mode in ("link", "ingest"):
        console.print(f"a check, {mode}")
        loaded = made.load_all(bucket, 1, mode == "link", 1)
        pair = [f"s3://{bucket}/check.h5", f"{loaded.folder}check.h5"]
        commands = {
            "hsdiff": [program("hsdiff"), *pair],
            "the full comparison alone": [sys.executable, "-m", "bucket_loader.verify", "--quiet", *pair],
        }
        differ = partial(made.check_again, loaded)
        rows += [[mode, *cells] for cells in _compare(commands, env, differ, runs)]
    text = (
        f"A file of {MEGABYTES} MB, {runs} runs in turn, medians of wall time. The differ's is a row's, from its claim "
        "to its end."
    )
    head = ["mode", "what", "seconds", "against hsdiff", "goal", "", "peak memory"]
    return Section("A check against hsdiff", head, rows, text)


def _compare(
    commands: Mapping[str, list[str]], env: Mapping[str, str], differ: Callable[[], float], runs: int
) -> Iterator[list[str]]:
    seconds: dict[str, list[float]] = {what: [] for what in (*commands, DIFFER)}
    peaks = dict.fromkeys(commands, 0)
    for _ in range(runs):
        for what, argv in commands.items():
            took, peak = timed(argv, env)
            seconds[what].append(took)
            peaks[what] = max(peaks[what], peak)
        seconds[DIFFER].append(differ())
    base = statistics.median(seconds["hsdiff"])
    for what, times in seconds.items():
        median = statistics.median(times)
        goal = [f"≤ {GOAL:g}", verdict(median <= GOAL * base)] if what == DIFFER else ["", ""]
        memory = f"{peaks[what] / 1e6:.0f} MB" if what in peaks else ""
        yield [what, f"{median:.1f} s", f"{median / base:.2f}", *goal, memory]
