"""Threads that share a pod's slots: no more of them work at once, and none of them waits for another's flush."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from bucket_loader.children.tool import KeepGoing
from bucket_loader.hsds import Unavailable
from bucket_loader.inventory.claims import Inventory
from bucket_loader.inventory.model import Claim, Outcome
from bucket_loader.inventory.states import LOAD, State
from bucket_loader.pod.job import ReleaseSlot
from bucket_loader.pod.slots import Slots
from bucket_loader.pod.stop import Stop
from bucket_loader.pod.worker import Worker
from bucket_loader.s3 import SourceObject
from tests.files import GOOD
from tests.proxy import lossy
from tests.world import World


class Waiting:
    """A job that works, lets go, and then waits for what its test says."""

    work = LOAD
    overlaps_flush = True

    def __init__(self, flushed: threading.Event) -> None:
        self._flushed = flushed
        self.worked: list[str] = []
        self.at_work = 0
        self.most_at_work = 0
        self._lock = threading.Lock()

    def first_columns(self) -> dict[str, Any]:
        return {}

    def end_switch(self, claim: Claim, keep_going: KeepGoing) -> Claim:
        return claim

    def run(self, claim: Claim, keep_going: KeepGoing, release_slot: ReleaseSlot) -> Outcome:
        with self._lock:
            self.at_work += 1
            self.most_at_work = max(self.most_at_work, self.at_work)
            self.worked.append(claim.row.filename)
            second = len(self.worked) > 1
        time.sleep(0.05)
        with self._lock:
            self.at_work -= 1
        release_slot()
        if second:
            self._flushed.set()
        assert self._flushed.wait(20), "the next row was not begun while this one was flushed"
        return Outcome(State.LOADED, 0, mode="link")


def _run(workers: list[Worker], check: Callable[[], None] = lambda: None) -> None:
    threads = [threading.Thread(target=worker.run, args=(True,)) for worker in workers]
    for thread in threads:
        thread.start()
    check()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)


@pytest.fixture
def inventory(world: World) -> Inventory:
    made = world.make_inventory()
    made.append([SourceObject(f"{number}.h5", 1, "e", 1) for number in range(6)])
    return made


def test_the_next_row_is_worked_on_while_one_is_flushed(world: World, inventory: Inventory) -> None:
    """One slot, two threads: the first could not go on without the second."""
    job, slots = Waiting(threading.Event()), Slots(1)
    _run(
        [
            Worker(job, inventory.clone(), world.config(), Stop(1), f"pod/{number}", slot=slots.share())
            for number in range(2)
        ]
    )
    assert inventory.counts()[State.LOADED] == 6
    assert job.most_at_work == 1


def test_a_worker_that_ends_leaves_its_slot_to_others(world: World, inventory: Inventory) -> None:
    class Away(Waiting):
        def first_columns(self) -> dict[str, Any]:
            return {}

        def run(self, claim: Claim, keep_going: KeepGoing, release_slot: ReleaseSlot) -> Outcome:
            raise Unavailable("the server is away")

    slots, stop = Slots(1), Stop(1)
    away = Worker(Away(threading.Event()), inventory.clone(), world.config(), stop, "pod/0", slot=slots.share())
    _run([away], check=stop.request)
    assert slots.share().take(0)


@pytest.mark.long
def test_a_loader_with_one_slot_begins_the_next_file_during_a_flush(world: World) -> None:
    """The real loader: the answer to a flush is held back until the next file's hsload has made its domain."""
    for number in range(2):
        world.put(f"{number}.h5", GOOD["chunked.h5"])
    world.make_inventory()
    world.scan()
    with lossy(world.servers.pod.port) as proxy:
        proxy.hold = lambda request: b'"flush": 1' in request

        def let_go_when_the_next_begins() -> None:
            assert proxy.held.wait(60)
            heads = len(proxy.heads)
            for _ in range(600):
                if any(head.startswith(b"PUT /?") for head in proxy.heads[heads:]):
                    break
                threading.Event().wait(0.05)
            proxy.let_go.set()

        thread = threading.Thread(target=let_go_when_the_next_begins)
        thread.start()
        out = world.ok("loader.py", "--drain", "--workers=1", f"--hsds_local={proxy.endpoint}")
        thread.join(60)
    words = [line.split() for line in out.splitlines() if "load begins" in line or "load ended" in line]
    order = ["begins" if "begins" in line else "ended" for line in words]
    assert order == ["begins", "begins", "ended", "ended"], out
