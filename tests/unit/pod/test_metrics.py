"""What /metrics says, of real watchers and loaders, and that its names are those of the guide."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from bucket_loader import __version__
from bucket_loader.inventory.states import CHECK, LOAD
from bucket_loader.pod.health import Pulse
from bucket_loader.pod.metrics import Metrics, WorkerMetrics
from bucket_loader.pod.observer import AttemptEnd
from bucket_loader.watch import backlog
from bucket_loader.watch.metrics import WatcherMetrics
from bucket_loader.watch.watcher import Pass

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "kubernetes.md"
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


# -- names -------------------------------------------------------------------------------------------------------------


def families() -> dict[str, tuple[str, str]]:
    """Type and labels of each of our metrics, by its name."""
    found = {}
    for metrics in (WatcherMetrics(Pulse(1)), WorkerMetrics(Pulse(1))):
        if isinstance(metrics, WatcherMetrics):
            metrics.counted(backlog.Backlog())
            metrics.scanned(Pass(), 1)
        for family in metrics.registry.collect():
            if family.name.startswith("bucket_loader"):
                suffix = {"counter": "_total", "info": "_info"}.get(family.type, "")
                labels = sorted(set(family.samples[0].labels) - {"le"})
                found[family.name + suffix] = family.type, ", ".join(labels)
    return found


def test_what_is_not_known_yet_is_not_there() -> None:
    metrics = WatcherMetrics(Pulse(1))
    late = {
        f"bucket_loader_{name}"
        for name in (
            *("counted_timestamp_seconds", "listed_objects", "last_scan_timestamp_seconds", "last_scan_seconds"),
            "in_step_timestamp_seconds",
        )
    }
    assert not late & {name for name, _ in of(metrics)}
    for seconds in (1, 2):
        metrics.scanned(Pass(listed=3), seconds)
        metrics.counted(backlog.Backlog())
    found = of(metrics)
    assert late <= {name for name, _ in found}
    assert found["bucket_loader_last_scan_seconds", ""] == 2
    assert time.time() - found["bucket_loader_last_scan_timestamp_seconds", ""] < 60


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
    for ending in AttemptEnd:
        metrics.begins(LOAD)
        metrics.ends(LOAD, ending, 90 * 60, 1000)
    metrics.begins(CHECK)
    metrics.away()
    found = of(metrics)
    assert found["bucket_loader_attempts_total", "load"] == 5
    for ending in AttemptEnd:
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


def test_events_are_counted_and_are_no_scans() -> None:
    metrics = WatcherMetrics(Pulse(60))
    metrics.changed(Pass(listed=2, added=2))
    metrics.heard(5)
    found = of(metrics)
    assert (found["bucket_loader_events_total", ""], found["bucket_loader_changes_total", "added"]) == (5, 2)
    assert found["bucket_loader_in_step_timestamp_seconds", ""] == pytest.approx(time.time(), abs=60)
    assert found["bucket_loader_scans_total", ""] == 0 and ("bucket_loader_listed_objects", "") not in found


def test_rows_are_not_shown_before_they_were_counted() -> None:
    """A watcher that has just been started would else scale all loaders to zero."""
    metrics = WatcherMetrics(Pulse(60))
    assert not [key for key in of(metrics) if key[0] == "bucket_loader_rows"]
    metrics.counted(backlog.Backlog())
    assert of(metrics)["bucket_loader_rows", "new"] == 0


def test_silence_of_the_most_silent_thread() -> None:
    metrics = WorkerMetrics(Pulse(60))
    metrics.alive()
    time.sleep(0.2)
    assert 0.2 <= of(metrics)["bucket_loader_silent_seconds", ""] < 60
