"""Damaged files through a real loader and a real differ, which has an HSDS of its own."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from bucket_loader.children import supervise
from bucket_loader.config import Engine
from tests.fuzz.runner import TIME_LIMIT, limits, memory
from tests.world import PASSWORD, TARGET, Servers, World

ENDS = ("load failed", "check failed", "verified")
SECONDS_PER_FILE = 150  # two attempts that take too long, of a load and of a check
HSDS_MEMORY = 1 << 30  # bytes of a node; a good load leaves it at 100 to 200 MB


@dataclass
class Loaded:
    """What became of the files of a bucket: rows by their state, and what no file may do."""

    states: Counter[str] = field(default_factory=Counter)
    different: list[str] = field(default_factory=list)  # rows that were loaded, with what the check said
    findings: list[str] = field(default_factory=list)
    memory: int = 0  # the most of a node of HSDS, in bytes


def load_and_check(world: World, bodies: Mapping[str, bytes], link: bool, engine: Engine = "auto") -> Loaded:
    """Load and check files, given by key, as two workers would; raises when one of these does not end well."""
    world.settings = {
        "load_engine": engine,
        "tgt_bucket": TARGET,
        "link_files": link,
        "load_time_limit": TIME_LIMIT,
        "diff_time_limit": TIME_LIMIT,
        "max_attempts": 2,
        "workers": 2,
        "watchdog_sleep_time": 1,
    }
    found = Loaded()
    for key, body in bodies.items():
        world.put(key, body)
    world.make_inventory()
    world.scan()
    world.ok("loader.py", "--drain", timeout=SECONDS_PER_FILE * len(bodies))
    world.ok("differ.py", "--drain", timeout=SECONDS_PER_FILE * len(bodies))
    _look_at(world.servers, found)
    rows = world.rows()
    assert set(rows) == set(bodies)
    for key, row in rows.items():
        state, reason = row["state"], row["diffresult"] or row["loadreason"]
        found.states[state] += 1
        if state == "check failed":
            found.different.append(f"{key}: {row['loadmode']}: {reason}")
        if state not in ENDS:
            found.findings.append(f"{key}: ends as {state}: {reason}")
        elif not reason or not reason.isprintable() or "Traceback" in reason:
            found.findings.append(f"{key}: {state} with the reason {reason!r}")
        elif state == "verified" and (different := reread(world, key, bodies[key])):
            found.findings.append(f"{key}: verified, and different: {different}")
    return found


def _look_at(servers: Servers, found: Loaded) -> None:
    """HSDS is alive, and has not taken too much memory."""
    for server in (servers.cluster, servers.pod, servers.checker):
        for node in server.nodes:
            node.check_alive()
            assert node._process is not None
            found.memory = max(found.memory, memory(node._process.pid, "VmHWM"))
    if found.memory > HSDS_MEMORY:
        found.findings.append(f"a node of HSDS took {found.memory:,} bytes")


def reread(world: World, key: str, body: bytes) -> str:
    """What other code finds different between a file and its domain; "" for nothing, or a file that it cannot read."""
    path = world.servers.root / "reread.h5"
    path.write_bytes(body)
    argv = [sys.executable, "-m", "tests.fuzz.alike", str(path), world.folder + key, world.servers.cluster.endpoint]
    run = supervise.run(argv, dict(os.environ) | {"HS_PASSWORD": PASSWORD}, limits())
    return "; ".join(run.lines[-3:]) if run.ending is supervise.Ending.EXITED and run.status == 1 else ""
