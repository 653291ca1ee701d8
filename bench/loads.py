"""Loads, against the loop that a user would write: `xargs -P N hsload` on the same HSDS, with the same files."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence

from rich.console import Console

from bench import checks, tuning
from bench.measure import HEAD, Row, in_turns
from bench.memory import peaks
from bench.page import Curve, Section, verdict
from bench.stage import Stage, large, many_objects, one_dataset, stage
from bucket_loader.hsds import USER_AGENT
from tests.proxy import lossy
from tests.s3_proxy import proxy_before

SMALL, MANY, LARGE, LARGE_MB = 48, 4, 2, 100
AT_ONCE = 2
REQUESTS_AT_MOST = 8
REQUESTS_OF = (2, 6)  # files: what both threads of a slot ask at their start, and a loader at its end, is in both
SHARE_AT_MOST = 0.1  # of the time in which files are loaded


NAMES = ("xargs", "settings", "workers", "steps", "requests", "bytes", "checks", "memory")


def sections(runs: int, console: Console, only: Sequence[str] = NAMES) -> Iterator[Section]:
    """Those with these names."""
    with stage() as made:
        measured: dict[str, Callable[[], Section]] = {
            "xargs": lambda: _against_xargs(made, runs, console),
            "settings": lambda: tuning.section(made, runs, console),
            "workers": lambda: _workers(made, runs, console),
            "steps": lambda: _steps(made),
            "requests": lambda: _requests(made),
            "bytes": lambda: _bytes(made),
            "checks": lambda: checks.section(made, runs, console),
            "memory": lambda: _memory(made),
        }
        yield from (measured[name]() for name in NAMES if name in only)


def _against_xargs(made: Stage, runs: int, console: Console) -> Section:
    makers: list[tuple[str, str, int, Callable[[int], bytes], float, float]] = [
        ("one", "files with one dataset", SMALL, one_dataset, 1.5, SMALL),
        ("many", "files with 49 objects", MANY, many_objects, 1.2, MANY),
        ("large", f"files of {LARGE_MB} MB", LARGE, lambda _: large(LARGE_MB), 0.95, LARGE * LARGE_MB),
    ]
    rows, starts = [], list[float]()
    for name, what, count, make, goal, amount in makers:
        keys = [f"{number}.h5" for number in range(count)]
        bucket = made.bucket(f"bench-{name}", {key: make(number) for number, key in enumerate(keys)})
        for link in (True, False):
            mode = "link" if link else "ingest"
            console.print(f"{what}, {mode}")
            unit = "MB/s" if name == "large" else "files/s"
            row = Row(f"{what}, {mode}", f"xargs -P {AT_ONCE} hsload", unit, goal=goal)

            def ours(bucket: str = bucket, count: int = count, link: bool = link, amount: float = amount) -> float:
                loaded = made.load_all(bucket, count, link, AT_ONCE)
                starts.append(loaded.start)
                return amount / loaded.seconds

            def theirs(
                bucket: str = bucket, keys: list[str] = keys, link: bool = link, amount: float = amount
            ) -> float:
                return amount / made.load_all_by_xargs(bucket, keys, link, AT_ONCE)

            rows.append(in_turns(row, ours, theirs, runs).cells())
    text = (
        f"Each {runs} times in turn, medians. The loader's time is from its first row to its last: a pod starts once, "
        f"in {statistics.median(starts):.1f} s here. It also looks at each file, counts the objects, flushes the "
        "domain and reads it back, which the loop does not."
    )
    return Section("Loads against xargs", HEAD, rows, text)


def _workers(made: Stage, runs: int, console: Console) -> Section:
    bucket = made.bucket("bench-workers", {f"{number}.h5": one_dataset(number) for number in range(SMALL)})
    found: dict[int, list[float]] = {1: [], 2: [], 4: []}
    for _ in range(runs):
        for workers in found:
            console.print(f"{workers} workers")
            found[workers].append(SMALL / made.load_all(bucket, SMALL, True, workers).seconds)
    speeds = {workers: statistics.median(speed) for workers, speed in found.items()}
    rows = [[str(workers), f"{speed:.2f}", f"{speed / speeds[1]:.2f}"] for workers, speed in speeds.items()]
    curve = Curve("workers", "workers", "files/s", {"link": ([float(n) for n in speeds], list(speeds.values()))})
    return Section("Workers of one pod", ["workers", "files/s", "against one"], rows, "Link, one dataset.", [curve])


def _steps(made: Stage) -> Section:
    """Where the time of a load goes, by the loader's own log; and how long no tool ran meanwhile."""
    rows = []
    makers: list[tuple[str, int, Callable[[int], bytes]]] = [
        ("one dataset", SMALL, one_dataset),
        ("49 objects", 4, many_objects),
        (f"{LARGE_MB} MB", 10, lambda _: large(LARGE_MB)),
    ]
    for what, count, make in makers:
        bucket = made.bucket(f"bench-steps-{count}", {f"{number}.h5": make(number) for number in range(count)})
        for link in (True, False):
            loaded = made.load_all(bucket, count, link, 1)
            steps: dict[str, list[float]] = {}
            for line in loaded.log:
                if line.get("event") == "step":
                    steps.setdefault(line["step"], []).append(float(line["seconds"]))
            # the last claims found nothing
            named = {step: statistics.median(seconds[:count]) for step, seconds in steps.items()}
            shown = ", ".join(f"{step} {seconds:.2f} s" for step, seconds in named.items())
            tools = sum(sum(steps.get(step, ())) for step in ("look", "hsload", "repair"))
            idle = 1 - tools / loaded.seconds
            goal = [f"{idle:.0%}", f"≤ {SHARE_AT_MOST:.0%}", verdict(idle <= SHARE_AT_MOST)]
            rows.append([what, "link" if link else "ingest", f"{loaded.seconds / count:.2f} s", shown, *goal])
    text = (
        "`workers: 1`, so that one file is worked on at a time; medians. `look`: a child looks at the file; `hsload`: "
        "its child, from fork to end; `flush`: until all is in storage; `count`: the objects of the domain; `finish`: "
        "the row. While one file is flushed and finished the next one is claimed and loaded. `no tool`: the part of "
        "the time, from the first row to the last, in which neither of the two children ran: claims, what is asked "
        "before and after, and the flush of the last file."
    )
    head = ["file", "mode", "a file each", "steps", "no tool", "goal", ""]
    return Section("Where the time of a load goes", head, rows, text)


def _requests(made: Stage) -> Section:
    """Requests to HSDS for one more file, the loader's own and its tools'."""
    rows: list[list[str]] = []
    own = USER_AGENT.encode()
    for what, make in (("one dataset", one_dataset), ("49 objects", many_objects)):
        for link in (True, False):
            found = []
            for count in REQUESTS_OF:
                name = f"bench-requests-{count}-{len(rows)}"
                bucket = made.bucket(name, {f"{number}.h5": make(number) for number in range(count)})
                with lossy(made.cluster.port) as cluster, lossy(made.pod.port) as pod:
                    settings = {"hsds_endpoint": cluster.endpoint, "hsds_local": pod.endpoint}
                    made.load_all(bucket, count, link, 1, **settings)
                    heads = cluster.heads + pod.heads
                found.append((sum(own in head for head in heads), sum(own not in head for head in heads)))
            further = REQUESTS_OF[1] - REQUESTS_OF[0]
            mine, tools = ((more - less) / further for less, more in zip(*found, strict=True))
            goal = [f"≤ {REQUESTS_AT_MOST}", verdict(mine <= REQUESTS_AT_MOST)]
            rows.append([what, "link" if link else "ingest", f"{mine:g}", *goal, f"{tools:g}"])
    text = (
        "For each file more, counted by a proxy before each service node. The loader's own are the claim, the flush, "
        "all objects at once, the rights, the root as the cluster's HSDS sees it, and the finish; what it asks the "
        "data node itself is not among them."
    )
    return Section("Requests to HSDS", ["file", "mode", "the loader's own", "goal", "", "hsload's"], rows, text)


def _bytes(made: Stage) -> Section:
    """What is read of a large file, counted by a proxy before the S3 server."""
    rows = []
    body = large(LARGE_MB)
    bucket = made.bucket("bench-bytes", {"0.h5": body})
    for link, goal in ((True, 0.05), (False, 1.05)):
        with proxy_before(made.s3.endpoint) as (counter, endpoint):
            made.load_all(bucket, 1, link, 1, aws_s3_gateway=endpoint)
            share = counter.sent / len(body)
            mode = "link" if link else "ingest"
            rows.append([mode, f"{counter.sent / 1e6:.1f} MB", f"{share:.1%}", f"≤ {goal:.0%}", verdict(share <= goal)])
    return Section(f"Bytes read of a file of {LARGE_MB} MB", ["mode", "read", "of the file", "goal", ""], rows)


def _memory(made: Stage) -> Section:
    """What each process of a load and of a check takes, with a pod's HSDS that has done nothing before."""
    rows = []
    makers: list[tuple[str, int, Callable[[int], bytes]]] = [
        ("one dataset", 8, one_dataset),
        ("49 objects", 2, many_objects),
        (f"{LARGE_MB} MB", 2, lambda _: large(LARGE_MB)),
    ]
    for number, (what, count, make) in enumerate(makers):
        bucket = made.bucket(f"bench-memory-{number}", {f"{n}.h5": make(n) for n in range(count)})
        for link in (True, False):
            with tuning.pod_with(made, tuning.TUNED, f"memory-{number}-{link}") as stage:
                nodes = {"data node": stage.pod.dn.pid, "service node": stage.pod.sn.pid}
                with peaks(nodes | {"loader": "loader.py"}) as loading:
                    loaded = stage.load_all(bucket, count, link, AT_ONCE)
                with peaks(nodes | {"differ": "differ.py"}) as checking:
                    stage.check_again(loaded)
            mode = "link" if link else "ingest"
            for step, found in (("load", loading), ("check", checking)):
                rows.append([what, mode, step, *(f"{peak / 2**20:.0f} MiB" for peak in found.values())])
    text = (
        f"Peaks, sampled five times a second; {AT_ONCE} files at once. The loader's and the differ's are with all "
        "their children; of memory that processes share, each has its part (PSS). The watcher's is in "
        "performance-scale.md."
    )
    return Section("Peak memory", ["file", "mode", "step", "data node", "service node", "loader or differ"], rows, text)
