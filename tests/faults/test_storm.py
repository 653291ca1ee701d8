"""More workers than the server takes requests from: it answers 503, and everything is done all the same."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

import pytest

from bucket_loader.inventory.states import State
from bucket_loader.local.servers import HsdsServer
from tests.faults.drill import Drill
from tests.world import PASSWORD, USER

pytestmark = pytest.mark.faults

REFUSALS = "returning 503"


@pytest.mark.timeout(600)
def test_a_storm_of_503(drill: Drill) -> None:
    servers = drill.world.servers
    files = 40
    few = {"max_task_count": 10}
    # this job's cluster from the start: another HSDS would keep its own view of the inventory in its cache
    with HsdsServer(servers.root, servers.s3, "target", {USER: PASSWORD}, "storm", few) as storm:
        drill.world.servers = replace(servers, cluster=storm)
        drill.world.settings |= {"workers": 8, "lease_time": 120}
        inventory = drill.prepare(files)
        with ExitStack() as stack:
            for number in range(4):
                drill.start(stack, "loader.py", f"pod-{number}")
            drill.wait(lambda: len(drill.in_state(inventory, State.LOADED)) == files, 400)
        drill.injected = sum(path.read_text().count(REFUSALS) for path in (servers.root / "storm").glob("*.log"))
        assert drill.injected > 0, "this is no storm"
        rows = drill.check()
    assert {row.loadattempts for row in rows.values()} == {1}, "a busy server costs no attempt"
