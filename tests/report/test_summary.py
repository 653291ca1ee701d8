"""Counts, pace, time left and pods."""

from __future__ import annotations

import time

import pytest
from rich.console import Console

from bucket_loader.inventory.claims import Inventory
from bucket_loader.inventory.model import Outcome
from bucket_loader.inventory.states import CHECK, LOAD, State
from bucket_loader.report import terminal
from bucket_loader.report.history import read
from bucket_loader.report.select import Selection
from bucket_loader.report.summary import Pace, Pod, Summary, Task, summarize
from bucket_loader.s3 import SourceObject
from tests.world import World


def shown(summary: Summary, width: int = 80) -> list[str]:
    console = Console(width=width, force_terminal=False)
    with console.capture() as capture:
        console.print(terminal.summary_table(summary, "/home/x/inventory.h5"), crop=False)
    return capture.get().splitlines()


def test_counts_are_those_of_the_rows(inventory: Inventory, now: int) -> None:
    summary = summarize(inventory, now)
    everything = list(inventory.rows())
    assert (summary.rows, summary.bytes) == (len(everything), sum(row.size for row in everything))
    for state in State:
        assert summary.counts[state] == sum(row.state is state for row in everything)
        assert summary.sizes[state] == sum(row.size for row in everything if row.state is state)
    assert summary.unchecked == sum(summary.counts[state] for state in (State.NEW, State.LOADING, State.LOADED))
    assert not summary.finished


def test_pods_and_what_they_have_in_hand(inventory: Inventory, now: int) -> None:
    summary = summarize(inventory, now)
    loading = {row.filename: row for row in inventory.rows() if row.state is State.LOADING}
    assert {task.key for task in summary.tasks} == set(loading)
    for task in summary.tasks:
        row = loading[task.key]
        assert (task.pod, task.began, task.size, task.attempt, task.work) == (
            row.loadpodname, row.loadstart, row.size, 1, LOAD
        )  # fmt: skip
    recent = [row for row in inventory.rows() if row.loaddone >= now - 600 and row.loadattempts]
    assert sum(pod.good for pod in summary.pods if "loader" in pod.name) == sum(
        row.state is not State.LOAD_FAILED for row in recent
    )


def test_a_small_inventory_made_by_the_real_calls(world: World) -> None:
    inventory = world.make_inventory()
    inventory.append([SourceObject(f"{number}.h5", 1024, "e", 1) for number in range(5)], ["", "", "", "", "a bad key"])
    held = inventory.claim(LOAD, "pod/0", 60)
    assert held is not None
    inventory.finish(held, Outcome(State.LOADED))
    assert inventory.claim(LOAD, "pod/1", 60) is not None
    assert inventory.claim(LOAD, "dead", 5, now=time.time() - 600) is not None
    tried = inventory.claim(LOAD, "pod-2", 60)
    assert tried is not None
    # the row of the dead worker is taken up again, and put off
    inventory.finish(tried, Outcome(State.NEW, 1, "503", wait=300))
    summary = summarize(inventory)
    counted = {state: count for state, count in summary.counts.items() if count}
    assert sum(counted.values()) == 5 and counted[State.LOAD_FAILED] == 1
    assert (summary.bytes, summary.retrying) == (5 * 1024, 1)
    assert summary.loads.files == 1, "what the watcher refused was never in work"
    pod = next(pod for pod in summary.pods if pod.name == "pod")
    assert (pod.good, len(pod.tasks)) == (1, 1), "its workers are shown as one"
    history = read(inventory, Selection())
    assert "pod" in history.pods.all and not any("/" in name for name in history.pods.all)


def test_a_silent_worker_is_said(world: World) -> None:
    inventory = world.make_inventory()
    inventory.append([SourceObject("a.h5", 1024, "e", 1)])
    assert inventory.claim(LOAD, "dead", 5, now=time.time() - 600) is not None
    summary = summarize(inventory)
    assert summary.abandoned == 1 and summary.tasks[0].abandoned
    text = "\n".join(shown(summary))
    assert "1 files in work have a silent worker" in text and "load   1.0 KiB (silent)  a.h5" in text


@pytest.mark.parametrize(
    ("pace", "left"),
    [
        # too few, too short, nothing left, nothing done
        (Pace(LOAD, files=9, since=0, now=100, files_left=9, bytes=4, bytes_left=9), None),
        (Pace(LOAD, files=50, since=90, now=100, files_left=9, bytes=4, bytes_left=9), None),
        (Pace(LOAD, files=50, since=0, now=100, files_left=0), None),
        (Pace(LOAD, now=100, files_left=9), None),
        # 50 files of 500 bytes in 100 s; 10 files left that are larger
        (Pace(LOAD, files=50, bytes=500, since=0, now=100, files_left=10, bytes_left=400), (20, 80)),
        # what is left is tiny: it still takes a load's time
        (Pace(LOAD, files=50, bytes=500, since=0, now=100, files_left=3, bytes_left=1), (2, 6)),
        # no longer than the window
        (Pace(LOAD, files=60, bytes=60, since=0, now=9000, files_left=6, bytes_left=6), (60, 60)),
    ],
)
def test_time_left_is_told_when_it_means_something(pace: Pace, left: tuple[float, float] | None) -> None:
    assert pace.left() == (pytest.approx(left) if left else None)


def test_what_is_said_of_the_pace() -> None:
    summary = Summary(now=100, rows=20)
    summary.loads = Pace(LOAD, files=50, bytes=50 * 1024, since=0, now=100, files_left=10, bytes_left=40 * 1024)
    summary.checks = Pace(CHECK, files=2, since=0, now=100, files_left=10)
    assert list(terminal.facts(summary)) == ["loads, last 1m 40s: 1,800 files/h, 512 B/s; time left: 20s to 1m 20s"]


def test_the_summary_fits_80_columns_and_is_plain_when_piped() -> None:
    summary = Summary(now=1000, rows=200_000, bytes=5 * 1024**4)
    summary.counts[State.VERIFIED] = 199_000
    key = "climate/" + "long/" * 30 + "file.h5"
    pod = "hsds-bucket-loader-7d9c6f8b5d-x2x4q"
    summary.pods = [Pod(pod, [Task(pod, LOAD, key, 5 * 1024**3, 100, 2, False)], good=12)]
    lines = shown(summary)
    assert "\x1b" not in "".join(lines)
    assert [line for line in lines if len(line) > 80] == [f"  15m 00s  load   5.0 GiB (attempt 2)  {key}"]
    assert f"{pod}: 12 done, 0 failed in 10m 00s" in lines


def test_the_live_view_fits_the_terminal() -> None:
    summary = Summary(now=1000, rows=100)
    summary.counts[State.NEW] = 50
    for number in range(40):
        task = Task(f"pod-{number}", LOAD, f"{number}.h5", 1, 900 + number, 1, False)
        summary.pods.append(Pod(f"pod-{number}", [task]))
    console = Console(width=80, height=24, force_terminal=True)
    with console.capture() as capture:
        console.print(terminal.live_view(summary, "/home/x/inventory.h5", 24))
    text = capture.get()
    assert len(text.splitlines()) <= 24
    assert "pod-0:" in text and "pod-39" not in text, "the longest in work come first"
    assert "and 32 more pods" in text, text
