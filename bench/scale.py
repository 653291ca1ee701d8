"""Tables of up to a million rows: claims, finishes, passes of the watcher, summaries."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

import psutil
from rich.console import Console

from bench import claims
from bench.listing import bucket_of
from bench.page import Curve, Section, verdict
from bench.stage import PASSWORD, ROOT, USER, Stage, stage
from bucket_loader.inventory.claims import Inventory
from bucket_loader.local.servers import HsdsServer

CLAIM_SECONDS = 10
NEW_KEYS = 100_000


def sections(sizes: Sequence[int], console: Console) -> Iterator[Section]:
    with stage() as made:
        tables: dict[int, Inventory] = {}
        for rows in sizes:
            console.print(f"making a table of {rows:,} rows")
            tables[rows] = claims.long_table(made, rows, done=0.5)
        yield _claims(made, tables)
        yield _passes(made, tables)
        yield _summaries(made, tables)


def _claims(made: Stage, tables: dict[int, Inventory]) -> Section:
    found, ends = [], []
    for inventory in tables.values():
        found.append(claims.measure(inventory, made.cluster.endpoint, CLAIM_SECONDS))
        ends.append(claims.finishes(inventory, 100))
    rows = [
        [
            f"{one.rows:,}",
            f"{one.per_second:.0f}",
            f"{one.median * 1000:.0f} ms",
            f"{one.p99 * 1000:.0f} ms",
            f"{one.first * 1000:.0f} ms",
            f"{end * 1000:.0f} ms",
            f"{renewal * 1000:.0f} ms",
            str(one.doubled),
            verdict(one.per_second >= 200 and one.p99 < 0.5 and not one.doubled),
        ]
        for one, (end, renewal) in zip(found, ends, strict=True)
    ]
    head = ["rows", "claims/s", "median", "99 %", "first claim", "finish", "renewal", "doubled", "goal"]
    text = (
        f"{claims.CLAIMERS} claimers at once, each for {CLAIM_SECONDS} s; the first half of each table is done. The "
        "first claim of a worker, which looks for the front, is a column of its own. Goal: 200 claims/s, 99 % in less "
        "than 0.5 s, none doubled."
    )
    sizes = [float(one.rows) for one in found]
    curve = Curve("claims", "rows", "claims/s", {"claims": (sizes, [one.per_second for one in found])})
    return Section("Claims by the length of the table", head, rows, text, [curve])


def _passes(made: Stage, tables: dict[int, Inventory]) -> Section:
    rows, listings, passes = [], [], []
    for size, inventory in tables.items():
        # the bucket has some keys more than the table
        with bucket_of(size + (NEW_KEYS if size == max(tables) else 0)) as endpoint:
            found = _watch(made, endpoint, inventory)
        ratio = found["pass"] / found["listing"]
        listings.append(found["listing"])
        passes.append(found["pass"])
        adding = found["adding"] - found["pass"] if found["added"] else 0.0
        reached = ratio <= 1.1 and found["peak"] <= 256 << 20 and adding < 60
        rows.append(
            [
                f"{found['keys']:,}",
                f"{found['reading']:.1f} s",
                f"{found['added']:,} in {adding:.1f} s",
                f"{found['listing']:.2f} s",
                f"{found['pass']:.2f} s",
                f"{ratio:.2f}",
                f"{found['peak'] / 2**20:.0f} MiB",
                verdict(reached),
            ]
        )
    head = ["keys", "reading the table", "added", "listing alone", "pass without news", "ratio", "peak memory", "goal"]
    text = (
        "A first pass reads the table, lists the bucket and adds what is missing: `added` is what it takes beyond the "
        "reading and a pass without news. Listings come from a server that pages as S3 does. Goal: a pass takes at "
        "most 10 % more than its listing, 256 MiB, and 60 s more for 100,000 new keys."
    )
    sizes = [float(size) for size in tables]
    curve = Curve("passes", "keys", "seconds", {"listing alone": (sizes, listings), "pass": (sizes, passes)})
    return Section("Passes of the watcher", head, rows, text, [curve])


def _watch(made: Stage, endpoint: str, inventory: Inventory) -> dict[str, float]:
    argv = [sys.executable, "-m", "bench.passes", endpoint, inventory.domain, made.cluster.endpoint]
    done = subprocess.run(argv, env=made.env(), cwd=ROOT, capture_output=True, text=True, timeout=1500)
    assert done.returncode == 0, done.stderr[-2000:]
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _summaries(made: Stage, tables: dict[int, Inventory]) -> Section:
    """With the chunk cache that HSDS has by default, with two data nodes, and with a cache that holds the table."""
    rows, lines = [], {}
    for cache, nodes in (("128m", 1), ("128m", 2), ("4g", 1)):
        times = []
        settings, name = {"chunk_mem_cache_size": cache}, f"cache-{cache}-{nodes}"
        with HsdsServer(made.root, made.s3, "target", {USER: PASSWORD}, name, settings, nodes) as hsds:
            for size, inventory in tables.items():
                took = [_summary(made, hsds, inventory) for _ in range(2)]
                times.append(took[1])
                memory = sum(psutil.Process(node.pid).memory_info().rss for node in hsds.dns)
                rows.append(
                    [
                        f"{size:,}",
                        str(nodes),
                        cache,
                        *(f"{seconds:.1f} s" for seconds in took),
                        f"{memory / 2**20:.0f} MiB",
                        *(verdict(seconds < 15) for seconds in took),
                    ]
                )
        lines[f"{nodes} × {cache}"] = ([float(size) for size in tables], times)
    head = [
        "rows",
        "data nodes",
        "chunk cache of each",
        "first",
        "second",
        "their memory",
        "first < 15 s",
        "second < 15 s",
    ]
    text = "With the start of the program. The first summary finds nothing in the cache."
    curve = Curve("summaries", "rows", "seconds of the second", lines)
    return Section("dump_inventory.py --summary", head, rows, text, [curve])


def _summary(made: Stage, hsds: HsdsServer, inventory: Inventory) -> float:
    env = made.env() | {
        "HSDS_ENDPOINT": hsds.endpoint,
        "INVENTORY_DOMAIN": inventory.domain,
        "SRC_BUCKET": "source",
        "TGT_FOLDER": f"/home/{USER}/",
        "CONFIG_DIR": str(made.root / "config"),
    }
    began = time.monotonic()
    argv = [sys.executable, str(ROOT / "dump_inventory.py"), "--summary"]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    return time.monotonic() - began
