"""Counts, pace, time left and pods."""

from __future__ import annotations

import time

from bucket_loader.inventory.claims import Inventory
from bucket_loader.inventory.model import Outcome
from bucket_loader.inventory.states import LOAD, State
from bucket_loader.report.history import read
from bucket_loader.report.select import Selection
from bucket_loader.report.summary import summarize
from bucket_loader.s3 import SourceObject
from tests.unit.report.test_summary import shown
from tests.world import World


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
