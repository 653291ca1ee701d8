"""Watchers that race, and one that dies between the two halves of an append."""

from __future__ import annotations

from contextlib import ExitStack

import h5pyd
import pytest

from tests.faults.drill import Drill, small_file
from tests.world import PASSWORD, USER

pytestmark = pytest.mark.faults


def test_two_watchers_at_once(drill: Drill) -> None:
    drill.prepare(1)
    with ExitStack() as stack:
        for pod in ("watcher-0", "watcher-1"):
            drill.start(stack, "watcher.py", pod, watchdog_sleep_time=0)
        drill.wait(lambda: "starts with" in drill.log("watcher-0") and "starts with" in drill.log("watcher-1"))
        for number in range(1, 9):
            drill.put(f"file-{number:03}.h5", small_file(number))
            drill.injected += 1
        keys = set(drill.bodies)
        drill.wait(lambda: {row.filename for row in drill.world.inventory().rows()} == keys)
    drill.check()


def test_a_watcher_that_died_in_an_append(drill: Drill) -> None:
    drill.prepare(2)
    # the server makes the table longer and then writes the rows: this is what is there in between
    with h5pyd.File(
        drill.world.inventory_domain,
        "r+",
        endpoint=drill.world.servers.cluster.endpoint,
        username=USER,
        password=PASSWORD,
    ) as file:
        file["inventory"].resize(6, axis=0)
    drill.injected += 1
    drill.put("file-800.h5", small_file(800))
    drill.check()
