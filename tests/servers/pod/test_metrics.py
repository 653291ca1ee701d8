"""What /metrics says, of real watchers and loaders, and that its names are those of the guide."""

from __future__ import annotations

import subprocess
import threading
import time
import urllib.request

import pytest

from bucket_loader.inventory.claims import Inventory
from bucket_loader.inventory.model import Outcome
from bucket_loader.inventory.states import CHECK, LOAD, State
from bucket_loader.local.servers import free_port
from bucket_loader.pod.stop import Stop
from bucket_loader.s3 import SourceObject
from bucket_loader.watch import backlog
from bucket_loader.watch.command import keep_doing
from tests import files
from tests.servers.pod.test_health import seen
from tests.unit.pod.test_metrics import Values, values
from tests.waiting import until
from tests.world import World


def ask(port: int) -> Values:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
        return values(answer.read().decode())


@pytest.mark.servers
def test_backlog_of_a_real_inventory(world: World) -> None:
    inventory = world.make_inventory()
    now = int(time.time())
    sizes = {"old.h5": (10, now - 5000), "new.h5": (20, now + 0), "loaded.h5": (40, now - 9)}
    inventory.append([SourceObject(key, size, "e", modified) for key, (size, modified) in sizes.items()])
    claim = inventory.claim(LOAD, "pod", 60)
    assert claim is not None
    inventory.finish(claim, Outcome(State.LOADED))
    assert inventory.claim(LOAD, "pod", 60) is not None
    found = backlog.take(inventory)
    wanted = {State.LOADED: (1, 10), State.LOADING: (1, 20), State.NEW: (1, 40)}
    for state, rows in found.rows.items():
        assert (rows, found.bytes[state]) == wanted.get(state, (0, 0))
    # a row waits since it was added, not since its file was made
    assert 0 <= found.oldest[LOAD] < 60
    assert 0 <= found.oldest[CHECK] < 60


@pytest.mark.servers
def test_backlog_goes_on_after_an_outage(world: World) -> None:
    inventory = world.make_inventory()
    world.cluster.delete_domain(world.inventory_domain)
    heard: list[backlog.Backlog] = []
    stop = Stop(1)
    step = lambda: heard.append(backlog.take(inventory))  # noqa: E731
    thread = threading.Thread(target=keep_doing, args=(stop, "count", step, 0.1))
    thread.start()
    time.sleep(1)
    assert heard == []
    Inventory.create(world.cluster, world.inventory_domain, public=False)
    until(lambda: heard, 20)
    stop.request()
    thread.join(10)
    assert not thread.is_alive()


# -- real pods ---------------------------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.servers
def test_watcher_and_loader_tell(world: World) -> None:
    world.settings = {"link_files": False, "workers": 2}
    for key in ("chunked.h5", "nan.h5"):
        world.put(key, files.GOOD[key])
    world.put("broken.h5", b"x")
    world.make_inventory()
    watch_port, load_port = free_port(), free_port()

    def told(port: int, process: subprocess.Popen[str], name: str, label: str, value: float) -> None:
        seen(lambda: ask(port).get((name, label)) == value, process, 60)

    with world.running("watcher.py", env={"METRICS_PORT": str(watch_port)}) as watcher:
        told(watch_port, watcher, "bucket_loader_rows", "new", 3)
        found = ask(watch_port)
        assert found["bucket_loader_listed_objects", ""] == 3
        assert found["bucket_loader_changes_total", "added"] == 3
        assert (
            found["bucket_loader_row_bytes", "new"] == sum(len(files.GOOD[key]) for key in ("chunked.h5", "nan.h5")) + 1
        )
        with world.running("loader.py", env={"METRICS_PORT": str(load_port)}) as loader:
            told(load_port, loader, "bucket_loader_files_total", "done load", 2)
            told(load_port, loader, "bucket_loader_files_total", "failed load", 1)
            found = ask(load_port)
            assert found["bucket_loader_attempts_total", "load"] == 3
            assert found["bucket_loader_file_seconds_count", "load"] == 3
            assert found["bucket_loader_files_in_work", "load"] == 0
        told(watch_port, watcher, "bucket_loader_rows", "loaded", 2)
        assert ask(watch_port)["bucket_loader_rows", "load_failed"] == 1
