"""`python -m bench.verify_cost`: what a check costs against plain hsdiff, in time and memory, in both modes.

One file of about 300 MB (chunked integers and floats, gzip; contiguous floats) is loaded once in each mode. hsdiff, the
full comparison, and both as the differ runs them take turns, on the same servers; the table tells the medians. The peak
of memory is that of the process (ru_maxrss), the libraries of about 100 MB with it.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np
from rich.console import Console
from rich.table import Table

from bucket_loader.hsds import Hsds
from bucket_loader.local_servers import HsdsServer, S3Server, program

USER, FOLDER, KEY = "admin", "/home/admin/bench/", "cost.h5"


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


def measure(megabytes: int, runs: int, console: Console) -> Table:
    table = Table(title=f"a check of {megabytes} MB, {runs} runs each in turn, medians")
    for heading in ("mode", "what", "seconds", "against hsdiff", "peak memory"):
        table.add_column(heading, justify="left" if heading in ("mode", "what") else "right")
    with tempfile.TemporaryDirectory(prefix="hsds-bench-") as folder, S3Server(Path(folder)) as s3:
        for bucket in ("source", "target"):
            s3.make_bucket(bucket)
        path, password = Path(folder) / KEY, secrets.token_urlsafe(12)
        write_file(path, megabytes)
        s3.client().upload_file(str(path), "source", KEY)
        with HsdsServer(Path(folder), s3, "target", {USER: password}) as hsds:
            Hsds(hsds.endpoint, USER, password).make_folders(FOLDER)
            options = {
                "endpoint_url": s3.endpoint,
                "default_block_size": 5 << 20,
                "default_cache_type": "readahead",
            }
            env = os.environ | s3.env()
            env |= {"HS_ENDPOINT": hsds.endpoint, "HS_USERNAME": USER, "HS_PASSWORD": password}
            env |= {"FSSPEC_S3": json.dumps(options), "PYTHONWARNINGS": "ignore"}
            for mode, flags in (("link", ["--link"]), ("ingest", [])):
                domain, uri = f"{FOLDER}{mode}.h5", f"s3://source/{KEY}"
                console.print(f"loading: {mode}")
                timed([program("hsload"), *flags, uri, domain], env)
                for what, seconds, ratio, peak in _compare(uri, domain, env, runs, console):
                    table.add_row(mode, what, f"{seconds:.1f}", f"{ratio:.2f}", f"{peak / 1e6:.0f} MB")
    return table


def _compare(
    uri: str, domain: str, env: Mapping[str, str], runs: int, console: Console
) -> list[tuple[str, float, float, int]]:
    """What ran, median seconds, ratio to hsdiff, peak of memory in bytes."""
    verify = [sys.executable, "-m", "bucket_loader.verify", "--quiet"]
    commands = {
        "hsdiff": [program("hsdiff"), uri, domain],
        "rest after hsdiff": [*verify, "--after-hsdiff", uri, domain],
        "full comparison": [*verify, uri, domain],
    }
    seconds: dict[str, list[float]] = {what: [] for what in commands}
    peaks: dict[str, int] = dict.fromkeys(commands, 0)
    for _ in range(runs):
        for what, argv in commands.items():
            took, peak = timed(argv, env)
            seconds[what].append(took)
            peaks[what] = max(peaks[what], peak)
            console.print(f"  {what}: {took:.1f} s")
    medians = {what: statistics.median(times) for what, times in seconds.items()}
    both = [a + b for a, b in zip(seconds["hsdiff"], seconds["rest after hsdiff"], strict=True)]
    medians["differ (hsdiff and the rest)"] = statistics.median(both)
    peaks["differ (hsdiff and the rest)"] = max(peaks["hsdiff"], peaks["rest after hsdiff"])
    return [(what, median, median / medians["hsdiff"], peaks[what]) for what, median in medians.items()]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.verify_cost", description=__doc__)
    parser.add_argument("--megabytes", type=int, default=300)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args(arguments)
    console = Console()
    console.print(measure(options.megabytes, options.runs, console))
    return 0


if __name__ == "__main__":
    sys.exit(main())
