"""What /metrics says, of real watchers and loaders, and that its names are those of the guide."""

from __future__ import annotations

import re
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from bucket_loader import __version__
from bucket_loader.inventory.claims import Inventory
from bucket_loader.inventory.model import Outcome
from bucket_loader.inventory.states import CHECK, LOAD, State
from bucket_loader.local.servers import free_port
from bucket_loader.pod.health import Pulse
from bucket_loader.pod.metrics import Metrics, WatcherMetrics, WorkerMetrics
from bucket_loader.pod.observer import Ending
from bucket_loader.pod.stop import Stop
from bucket_loader.s3 import SourceObject
from bucket_loader.watch import backlog
from bucket_loader.watch.watcher import Pass
from tests import files
from tests.test_health import until
from tests.world import World

GUIDE = Path(__file__).resolve().parent.parent / "docs" / "kubernetes.md"
Values = dict[tuple[str, str], float]


def values(text: str) -> Values:
    """Every value of a page of metrics, by the sample's name and its labels' values, in the order of their names."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name, " ".join(value for _, value in sorted(sample.labels.items()))] = sample.value
    return found


def of(metrics: Metrics) -> Values:
    return values(generate_latest(metrics.registry).decode())


def ask(port: int) -> Values:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
        return values(answer.read().decode())


# -- names -------------------------------------------------------------------------------------------------------------


def families() -> dict[str, tuple[str, str]]:
    """Type and labels of each of our metrics, by its name."""
    found = {}
    for metrics in (WatcherMetrics(Pulse(1)), WorkerMetrics(Pulse(1))):
        if isinstance(metrics, WatcherMetrics):
            metrics.counted(backlog.Census())
        for family in metrics.registry.collect():
            if family.name.startswith("bucket_loader"):
                suffix = {"counter": "_total", "info": "_info"}.get(family.type, "")
                labels = sorted(set(family.samples[0].labels) - {"le"})
                found[family.name + suffix] = family.type, ", ".join(labels)
    return found


def test_guide_lists_every_metric_and_no_other() -> None:
    rows = re.findall(r"^\| `(bucket_loader_\w+)` \| (\w+) \| ([\w`, ]*)\|", GUIDE.read_text(), re.MULTILINE)
    listed = {name: (kind, labels.replace("`", "").strip()) for name, kind, labels in rows}
    assert listed == {
        name: ("gauge" if kind == "info" else kind, labels) for name, (kind, labels) in families().items()
    }


def test_names_follow_the_conventions() -> None:
    for name, (kind, _) in families().items():
        assert re.fullmatch(r"bucket_loader(_[a-z]+)+", name)
        assert name.endswith("_total") == (kind == "counter"), name
        assert not re.search(r"_(ms|minutes|hours|mb|kb)(_|$)", name), f"{name}: seconds and bytes are the units"


def test_two_pods_in_one_process_have_registries_of_their_own() -> None:
    one, two = WorkerMetrics(Pulse(1)), WorkerMetrics(Pulse(1))
    one.begins(LOAD)
    assert of(one)["bucket_loader_attempts_total", "load"] == 1
    assert of(two)["bucket_loader_attempts_total", "load"] == 0


# -- what they say -----------------------------------------------------------------------------------------------------


def test_attempts_by_what_became_of_them() -> None:
    metrics = WorkerMetrics(Pulse(60))
    for ending in Ending:
        metrics.begins(LOAD)
        metrics.ends(LOAD, ending, 90 * 60, 1000)
    metrics.begins(CHECK)
    metrics.away()
    found = of(metrics)
    assert found["bucket_loader_attempts_total", "load"] == 5
    for ending in Ending:
        assert found["bucket_loader_files_total", f"{ending.value} load"] == 1
        assert found["bucket_loader_files_total", f"{ending.value} check"] == 0
    assert found["bucket_loader_file_bytes_total", "load"] == 1000
    # an attempt that was called off says nothing about how long a file takes
    assert found["bucket_loader_file_seconds_count", "load"] == 2
    assert found["bucket_loader_file_seconds_bucket", "3600.0 load"] == 0
    assert found["bucket_loader_file_seconds_bucket", "7200.0 load"] == 2
    assert (found["bucket_loader_files_in_work", "load"], found["bucket_loader_files_in_work", "check"]) == (0, 1)
    assert found["bucket_loader_away_total", ""] == 1
    assert found["bucket_loader_build_info", __version__] == 1


def test_scans() -> None:
    metrics = WatcherMetrics(Pulse(60))
    metrics.scanned(Pass(listed=7, added=2, changed=1), 1.5)
    metrics.scanned(Pass(listed=8, added=1), 0.5)
    metrics.broke_off()
    found = of(metrics)
    assert (found["bucket_loader_scans_total", ""], found["bucket_loader_scan_errors_total", ""]) == (2, 1)
    assert (found["bucket_loader_listed_objects", ""], found["bucket_loader_last_scan_seconds", ""]) == (8, 0.5)
    assert (found["bucket_loader_changes_total", "added"], found["bucket_loader_changes_total", "changed"]) == (3, 1)
    assert found["bucket_loader_last_scan_timestamp_seconds", ""] == pytest.approx(time.time(), abs=60)


def test_rows_are_not_shown_before_they_were_counted() -> None:
    """A watcher that has just been started would else scale all loaders to zero."""
    metrics = WatcherMetrics(Pulse(60))
    assert not [key for key in of(metrics) if key[0] == "bucket_loader_rows"]
    metrics.counted(backlog.Census())
    assert of(metrics)["bucket_loader_rows", "new"] == 0


def test_silence_of_the_most_silent_thread() -> None:
    metrics = WorkerMetrics(Pulse(60))
    metrics.alive()
    time.sleep(0.2)
    assert 0.2 <= of(metrics)["bucket_loader_silent_seconds", ""] < 60


@pytest.mark.servers
def test_census_of_a_real_inventory(world: World) -> None:
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
def test_census_goes_on_after_an_outage(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "SHORTEST_PAUSE", 0.1)
    inventory = world.make_inventory()
    world.cluster.delete_domain(world.inventory_domain)
    heard: list[backlog.Census] = []
    stop = Stop(1)
    thread = threading.Thread(target=backlog.keep, args=(inventory, heard.append, stop))
    thread.start()
    time.sleep(1)
    assert heard == []
    Inventory.create(world.cluster, world.inventory_domain, public=False)
    deadline = time.monotonic() + 20
    while not heard and time.monotonic() < deadline:
        time.sleep(0.1)
    stop.request()
    thread.join(10)
    assert heard
    assert not thread.is_alive()


# -- real pods ---------------------------------------------------------------------------------------------------------


@pytest.mark.servers
def test_watcher_and_loader_tell(world: World) -> None:
    world.settings = {"link_files": False, "workers": 2}
    for key in ("chunked.h5", "nan.h5"):
        world.put(key, files.GOOD[key])
    world.put("broken.h5", b"x")
    world.ok("make_inventory.py")
    watch_port, load_port = free_port(), free_port()

    def told(port: int, process: subprocess.Popen[str], name: str, label: str, value: float) -> None:
        until(lambda: ask(port).get((name, label)) == value, process, 60)

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
