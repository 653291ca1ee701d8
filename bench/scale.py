"""Tables of up to a million rows: claims, finishes, passes of the watcher, summaries."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

from rich.console import Console

from bench import claims
from bench.listing import bucket_of
from bench.page import Curve, Section
from bench.stage import ROOT, Stage, stage
from bucket_loader.inventory import Inventory

CLAIM_SECONDS = 5
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
        ]
        for one, (end, renewal) in zip(found, ends, strict=True)
    ]
    head = ["rows", "claims/s", "median", "99 %", "first claim", "finish", "renewal", "doubled"]
    text = f"{claims.CLAIMERS} claimers at once, each for {CLAIM_SECONDS} s; the first half of each table is done."
    sizes = [float(one.rows) for one in found]
    curve = Curve("claims", "rows", "claims/s", {"claims": (sizes, [one.per_second for one in found])})
    return Section("Claims by the length of the table", head, rows, text, [curve])


def _passes(made: Stage, tables: dict[int, Inventory]) -> Section:
    rows, over = [], []
    for size, inventory in tables.items():
        # the bucket has some keys more than the table
        with bucket_of(size + (NEW_KEYS if size == max(tables) else 0)) as endpoint:
            found = _watch(made, endpoint, inventory)
        over.append(found["pass"] / found["listing"])
        rows.append(
            [
                f"{found['keys']:,}",
                f"{found['first']:.1f} s",
                f"{found['added']:,}",
                f"{found['listing']:.2f} s",
                f"{found['pass']:.2f} s",
                f"{over[-1]:.2f}",
                f"{found['peak'] / 2**20:.0f} MiB",
            ]
        )
    head = ["keys", "first pass", "added in it", "listing alone", "pass without news", "ratio", "peak memory"]
    return Section("Passes of the watcher", head, rows, "The first pass reads the table and adds what is missing.")


def _watch(made: Stage, endpoint: str, inventory: Inventory) -> dict[str, float]:
    argv = [sys.executable, "-m", "bench.passes", endpoint, inventory.domain, made.cluster.endpoint]
    done = subprocess.run(argv, env=made.env(), cwd=ROOT, capture_output=True, text=True, timeout=1500)
    assert done.returncode == 0, done.stderr[-2000:]
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _summaries(made: Stage, tables: dict[int, Inventory]) -> Section:
    rows = []
    for size, inventory in tables.items():
        env = made.env() | {
            "HSDS_ENDPOINT": made.cluster.endpoint,
            "INVENTORY_DOMAIN": inventory.domain,
            "SRC_BUCKET": "source",
            "TGT_FOLDER": "/home/admin/",
            "CONFIG_DIR": str(made.root / "config"),
        }
        times = []
        for _ in range(2):
            began = time.monotonic()
            argv = [sys.executable, str(ROOT / "dump_inventory.py"), "--summary"]
            done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=600)
            assert done.returncode == 0, done.stderr[-2000:]
            times.append(time.monotonic() - began)
        rows.append([f"{size:,}", f"{times[0]:.1f} s", f"{times[1]:.1f} s"])
    return Section("dump_inventory.py --summary", ["rows", "first", "second"], rows)
