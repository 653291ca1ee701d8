"""The direct engine against hsload: the same loader, files and HSDS; and against a plain copy of the bytes."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import h5py
import numpy as np
from rich.console import Console

from bench import pods
from bench.measure import HEAD, Row, in_turns
from bench.page import Curve, Section
from bench.stage import Loaded, Stage, many_objects, one_dataset, stage

WORKERS = 2
LATENCY = 0.02  # seconds of each request, in the second table


def several_datasets(_: int) -> bytes:
    """9 groups, 96 datasets in 11 chunks each, gzip and shuffle; 420 MB."""
    rng = np.random.default_rng(1)
    with tempfile.NamedTemporaryFile(suffix=".h5") as place:
        with h5py.File(place.name, "w") as file:
            for number in range(96):
                file.require_group(f"group-{number % 9}")
                data = rng.integers(0, 1 << 20, (11, 150_000), dtype="i4")
                file.create_dataset(
                    f"group-{number % 9}/data-{number}",
                    data=data,
                    chunks=(1, 150_000),
                    compression="gzip",
                    compression_opts=1,
                    shuffle=True,
                )
        return Path(place.name).read_bytes()


def small_chunks(_: int) -> bytes:
    """100,000 chunks of 1 KB."""
    body = io.BytesIO()
    with h5py.File(body, "w") as file:
        data = np.arange(100_000 * 256, dtype="f4")
        file.create_dataset("data", data=data, chunks=(256,), compression="gzip", compression_opts=1, shuffle=True)
    return body.getvalue()


def groups(count: int) -> bytes:
    """Groups with 3 attributes each."""
    body = io.BytesIO()
    with h5py.File(body, "w") as file:
        for number in range(count):
            group = file.create_group(f"group-{number:05d}")
            for name in "abc":
                group.attrs[name] = float(number)
    return body.getvalue()


@dataclass(frozen=True)
class Work:
    """Files of a kind; `goals` for link and ingest, `alone` where hsload would take too long to be waited for."""

    what: str
    count: int
    make: Callable[[int], bytes]
    goals: tuple[float, float]
    runs: int = 3
    alone: bool = False

    @property
    def workers(self) -> int:
        return min(WORKERS, self.count)

    def keys(self) -> list[str]:
        return [f"{number}.h5" for number in range(1, self.count + 1)]

    def bucket(self, made: Stage, name: str) -> str:
        """With these files, and a small one that is loaded before a single one: a pod has its start behind it."""
        bodies = {key: self.make(number) for number, key in enumerate(self.keys())}
        return made.bucket(name, bodies if self.count > 1 else {"0.h5": one_dataset(0)} | bodies)

    def rate(self, made: Stage, engine: str, bucket: str, link: bool) -> float:
        """Files per second."""
        loaded = _load(made, engine, bucket, max(2, self.count), link, self.workers)
        return self.count / (loaded.seconds if self.count > 1 else loaded.seconds_of("1.h5"))


SEVERAL = Work("a file of 105 objects in 1,056 chunks", 1, several_datasets, (15, 12), runs=2)
WORKS = (
    Work("files with one dataset, 2 workers", 150, one_dataset, (8, 8)),
    Work("files with 49 objects, 2 workers", 6, many_objects, (10, 10), runs=2),
    SEVERAL,
    Work("a file of 1,000 groups with 3,000 attributes", 1, lambda _: groups(1000), (25, 25), runs=1),
    Work("a file of 5,000 groups with 15,000 attributes", 1, lambda _: groups(5000), (0, 0), alone=True),
    Work("a file of 100,000 chunks of 1 KB", 1, small_chunks, (0, 0), alone=True),
)


NAMES = ("hsload", "copy", "kerchunk", "workers", "pods", "kept", "far")


def sections(runs: int, console: Console, only: Sequence[str] = NAMES) -> Iterator[Section]:
    """Those with these names. HSDS is as it comes, but where it is said to keep its clients of S3, as in our pods."""
    if set(only) - {"far", "kept"}:
        yield from _near(runs, console, only)
    if "kept" in only:
        with stage(keeps_clients=True) as made:
            buckets = {work: work.bucket(made, f"kept-{number}") for number, work in enumerate(WORKS[:4])}
            text = "As in our pods, where hsload is faster than with HSDS as it comes."
            yield _against_hsload(
                made, buckets, 1, console, "Direct against hsload, whose HSDS keeps its clients", text
            )
    if "far" not in only:
        return
    with stage(latency=LATENCY, keeps_clients=False) as made:
        buckets = {work: work.bucket(made, f"far-{number}") for number, work in enumerate(WORKS[:3])}
        text = f"With {LATENCY * 1000:.0f} ms more for each request of S3, by loaders, their children and HSDS."
        yield _against_hsload(made, buckets, 1, console, "Direct against hsload, far from the bucket", text)


def _load(made: Stage, engine: str, bucket: str, count: int, link: bool, workers: int = WORKERS) -> Loaded:
    return made.load_all(bucket, count, link, workers, load_engine=engine, tgt_bucket="target")


def _against_hsload(
    made: Stage, buckets: Mapping[Work, str], runs: int, console: Console, title: str, text: str
) -> Section:
    rows = []
    for work, bucket in buckets.items():
        for link, goal in zip((True, False), work.goals, strict=True):
            what = f"{work.what}, {'link' if link else 'ingest'}"
            console.print(what)
            row = Row(what, "hsload", "files/s", goal=goal or None)
            rate = partial(work.rate, made, bucket=bucket, link=link)
            if work.alone:
                row.ours = [rate("direct") for _ in range(runs)]
                rows.append([what, "", f"{1 / max(row.ours):.3g} s", "", "", "seconds", ""])
            else:
                rows.append(
                    in_turns(row, partial(rate, "direct"), partial(rate, "hsload"), min(runs, work.runs)).cells()
                )
    return Section(title, HEAD, rows, text)


def _near(runs: int, console: Console, only: Sequence[str]) -> Iterator[Section]:
    with stage(keeps_clients=False) as made:
        works = WORKS if {"hsload", "kerchunk"} & set(only) else (SEVERAL,) if "copy" in only else ()
        buckets = {work: work.bucket(made, f"direct-{WORKS.index(work)}") for work in works}
        if "hsload" in only:
            yield _against_hsload(made, buckets, runs, console, "Direct against hsload", "")
        if "copy" in only:
            yield _against_copy(made, buckets[SEVERAL], runs, console)
        if "kerchunk" in only:
            yield _against_kerchunk(made, buckets, runs, console)
        if "workers" in only:
            yield _workers(made, runs, console)
        if "pods" in only:
            yield from pods.sections(made, console)


def _against_copy(made: Stage, bucket: str, runs: int, console: Console) -> Section:
    """Ingest against a copy of the same bytes by boto3, in ranges as large as the engine's, with as many threads."""
    client, part = made.s3.client(), 8 << 20
    size = client.head_object(Bucket=bucket, Key="1.h5")["ContentLength"]

    def copy(piece: int) -> float:
        began = time.monotonic()

        def one(first: int) -> None:
            asked = f"bytes={first}-{min(first + part, size) - 1}"
            data = client.get_object(Bucket=bucket, Key="1.h5", Range=asked)["Body"].read()
            for start in range(0, len(data), piece):
                client.put_object(Bucket="target", Key=f"copy/{first + start}", Body=data[start : start + piece])

        with ThreadPoolExecutor(16) as pool:
            list(pool.map(one, range(0, size, part)))
        return size / 1e6 / (time.monotonic() - began)

    def ours() -> float:
        return size / 1e6 * SEVERAL.rate(made, "direct", bucket, link=False)

    rows = []
    for rival, piece, goal in (("8 MiB each", part, 0.7), ("as many as HSDS has", size // 1056, None)):
        console.print(f"a plain copy of the bytes, into objects of {rival}")
        row = Row(f"{SEVERAL.what}, ingest", f"boto3, the bytes alone, into objects of {rival}", "MB/s", goal=goal)
        rows.append(in_turns(row, ours, partial(copy, piece), runs).cells())
    text = f"{size / 1e6:,.0f} MB. The whole load, from the claim of its row to its finish."
    return Section("Ingest against a copy", HEAD, rows, text)


def _against_kerchunk(made: Stage, buckets: Mapping[Work, str], runs: int, console: Console) -> Section:
    """Links against references as Kerchunk makes them: a JSON for each file, in the bucket, with no server."""
    python = Path(sys.prefix) / "kerchunk" / "bin" / "python"
    rows = []
    for work, bucket in buckets.items():
        if work.alone:
            continue
        console.print(f"Kerchunk: {work.what}")

        def theirs(work: Work = work, bucket: str = bucket) -> float:
            argv = [python, Path(__file__).parent / "kerchunk_links.py", bucket, "target", work.workers, *work.keys()]
            env = made.s3.env() | {"FSSPEC_S3_ENDPOINT_URL": made.endpoint, "PATH": os.environ["PATH"]}
            done = subprocess.run([*map(str, argv)], env=env, capture_output=True, text=True, check=True, timeout=300)
            return work.count / float(done.stdout)

        ours = partial(work.rate, made, "direct", bucket, link=True)
        rows.append(in_turns(Row(f"{work.what}, link", "Kerchunk", "files/s"), ours, theirs, runs).cells())
    text = "Kerchunk writes a JSON of the chunks' places for each file, and has no server, table or proof to care for."
    return Section("Links against Kerchunk", HEAD, rows, text)


def _workers(made: Stage, runs: int, console: Console) -> Section:
    console.print("workers")
    count = 60
    bucket = made.bucket("direct-workers", {f"{number}.h5": one_dataset(number) for number in range(count)})
    rates = {
        workers: max(
            count / _load(made, "direct", bucket, count, link=True, workers=workers).seconds for _ in range(runs)
        )
        for workers in (1, 2, 4)
    }
    rows = [[str(workers), f"{rate:.3g}", f"{rate / rates[1]:.2f}"] for workers, rate in rates.items()]
    curve = Curve("direct-workers", "workers", "files/s", {"link": ([*map(float, rates)], [*rates.values()])})
    text = "Link, one dataset; the best of the runs. The machine's cores, which S3 and HSDS share, are full with two."
    return Section("Workers of one pod, direct", ["workers", "files/s", "against one"], rows, text, [curve])
