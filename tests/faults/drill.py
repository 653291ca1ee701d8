"""One fault drill: files in a bucket, workers as processes, something goes wrong, and the same check at the end."""

from __future__ import annotations

import io
import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from bucket_loader.inventory.claims import Inventory
from bucket_loader.inventory.model import Row
from bucket_loader.inventory.states import State
from tests.independent import compare
from tests.waiting import until
from tests.world import ROOT, World

LEASE = 4


@dataclass
class Found:
    """What is true at the end, seen from outside."""

    rows: int
    lost: int
    doubled: int
    stuck: int


def small_file(number: int) -> bytes:
    body = io.BytesIO()
    with h5py.File(body, "w") as file:
        file["data"] = np.arange(number, number + 100)
        file["data"].attrs["number"] = number
        file.create_group("group")
    return body.getvalue()


class Drill:
    def __init__(self, world: World, name: str) -> None:
        self.world, self.name = world, name
        self.injected = 0
        self.found: Found | None = None
        self.bodies: dict[str, bytes] = {}
        self.random = random.Random(2021)
        world.settings |= {
            "link_files": False,
            "lease_time": LEASE,
            "shutdown_grace": 2,
            "diff_method": "verify",
            "watchdog_sleep_time": 1,
            "max_attempts": 3,
        }

    def prepare(self, count: int) -> Inventory:
        """Fill the bucket with small files, make an inventory, and let the watcher add them."""
        for number in range(count):
            self.put(f"file-{number:03}.h5", small_file(number))
        inventory = self.world.make_inventory()
        self.world.ok("watcher.py", "--once")
        return inventory

    def put(self, key: str, body: bytes) -> None:
        self.world.put(key, body)
        self.bodies[key] = body

    # -- processes ----------------------------------------------------------------------------------------------------

    def start(self, stack: ExitStack, script: str, pod: str, **settings: object) -> subprocess.Popen[bytes]:
        log = (self.world.servers.root / f"{self.world.bucket}-{pod}.log").open("ab")
        stack.callback(log.close)
        env = self.world.env() | {"POD_NAME": pod} | {key.upper(): str(value) for key, value in settings.items()}
        process = subprocess.Popen(
            [sys.executable, str(ROOT / script)], env=env, cwd=self.world.servers.root, stdout=log, stderr=log
        )
        stack.callback(_end, process)
        return process

    def log(self, pod: str) -> str:
        return (self.world.servers.root / f"{self.world.bucket}-{pod}.log").read_text()

    def kill(self, process: subprocess.Popen[bytes], number: int = signal.SIGKILL) -> None:
        """Inject a signal."""
        process.send_signal(number)
        self.injected += 1
        if number == signal.SIGKILL:
            process.wait(20)

    def pause(self, least: float, most: float) -> None:
        time.sleep(self.random.uniform(least, most))

    # -- waiting and checking -----------------------------------------------------------------------------------------

    def wait(self, what: Callable[[], object], seconds: float = 90) -> None:
        until(what, seconds, self._said)

    def _said(self) -> str:
        """What each worker said last."""
        logs = sorted(self.world.servers.root.glob(f"{self.world.bucket}-*.log"))
        return "".join(f"\n{log.stem}: … {log.read_text()[-1500:]}" for log in logs)

    def in_state(self, inventory: Inventory, *states: State) -> list[Row]:
        return [row for row in inventory.rows() if row.state in states]

    def check(self, failed: frozenset[str] = frozenset()) -> dict[str, Row]:
        """Let calm return, and see from outside: one row per file, every one verified, every domain as its source."""
        world = self.world
        world.servers.pod.restart()
        world.servers.cluster.restart()
        world.ok("watcher.py", "--once")
        world.ok("watcher.py", "--once")
        long = 240 + 4 * len(self.bodies)
        world.ok("loader.py", "--drain", "--workers=2", timeout=long)
        world.ok("differ.py", "--drain", "--workers=2", timeout=long)
        lines = [json.loads(line) for line in world.ok("dump_inventory.py", "--json").splitlines()]
        names = Counter(line["filename"] for line in lines)
        self.found = Found(
            rows=len(lines),
            lost=len(set(self.bodies) - set(names)),
            doubled=sum(count > 1 for count in names.values()),
            stuck=sum(line["state"] in ("loading", "checking") for line in lines),
        )
        assert self.found == Found(len(self.bodies), 0, 0, 0)
        rows = {row.filename: row for row in world.inventory().rows()}
        for key, body in self.bodies.items():
            if key in failed:
                assert rows[key].state is State.LOAD_FAILED
                continue
            assert rows[key].state is State.VERIFIED, rows[key]
            compare(body, world, key)
        return rows


def hears(pid: int) -> bool:
    """Whether a process listens to SIGTERM; until Python itself has started, nobody does."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = int(status.partition("SigCgt:")[2].split()[0], 16)
    return bool(caught >> (signal.SIGTERM - 1) & 1)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGCONT)
        process.kill()
    process.wait()


def children(pid: int) -> list[int]:
    """The tools that a worker has running: of all that it has started, those with a session of their own."""
    found = []
    for child in _started_by(pid):
        try:
            session = int(Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[3])
        except OSError:
            continue
        found += [child] if session == child else []
        found += children(child)
    return found


def _started_by(pid: int) -> list[int]:
    found = []
    try:
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            found += [int(child) for child in task.read_text().split()]
    except OSError:
        pass  # it ended meanwhile
    return found
