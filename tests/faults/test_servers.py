"""Servers that die, lie, or are away: the pod's HSDS, the cluster's, S3, the inventory itself."""

from __future__ import annotations

import time
from contextlib import ExitStack

import pytest

from bucket_loader.inventory.model import Outcome
from bucket_loader.inventory.states import LOAD, State
from bucket_loader.s3 import SourceObject
from tests.faults.drill import Drill, small_file
from tests.independent import compare
from tests.s3_proxy import s3_proxy

pytestmark = pytest.mark.faults


@pytest.mark.parametrize("node", ["dn", "sn"])
def test_a_node_of_the_pods_hsds_killed_in_a_load(drill: Drill, node: str) -> None:
    # a restart of a data node counts as an attempt, because it may be the file that makes it run out of memory
    drill.world.settings["max_attempts"] = 6
    inventory = drill.prepare(3)
    with ExitStack() as stack:
        drill.start(stack, "loader.py", "pod-0")
        for _ in range(3):
            drill.wait(lambda: drill.in_state(inventory, State.LOADING) or not drill.in_state(inventory, State.NEW))
            drill.pause(0, 1.5)
            getattr(drill.world.servers.pod, node).kill()
            drill.injected += 1
            drill.pause(0.5, 1)
            drill.world.servers.pod.restart()
        drill.wait(lambda: len(drill.in_state(inventory, State.LOADED)) == 3, 120)
    drill.check()


def test_the_pods_hsds_killed_right_after_loaded(drill: Drill) -> None:
    # the next files are in work when it is killed, and every restart counts as an attempt for them
    drill.world.settings["max_attempts"] = 6
    inventory = drill.prepare(4)
    with ExitStack() as stack:
        drill.start(stack, "loader.py", "pod-0")
        for count in (1, 2, 3, 4):
            drill.wait(lambda n=count: len(drill.in_state(inventory, State.LOADED)) >= n)
            for node in drill.world.servers.pod.nodes:
                node.kill()
            drill.injected += 1
            for row in drill.in_state(inventory, State.LOADED):
                compare(drill.bodies[row.filename], drill.world, row.filename)
            drill.world.servers.pod.restart()
    drill.check()


@pytest.mark.parametrize("after", ["claim", "finish", "append"])
def test_the_clusters_data_node_killed_right_after(drill: Drill, after: str) -> None:
    inventory = drill.prepare(2)
    cluster = drill.world.servers.cluster
    held = inventory.claim(LOAD, "pod-0", 2)
    assert held is not None
    if after == "finish":
        # true of what is in the inventory: the domain is there
        drill.world.ok("loader.py", "--once")
    if after == "append":
        inventory.append([SourceObject("file-900.h5", 1, "e", 1)])
        drill.put("file-900.h5", small_file(900))
    cluster.dn.kill()
    drill.injected += 1
    cluster.restart()
    if after == "claim":
        # whether the claim outlived the crash or not, nobody else gets hurt by its holder's finish
        inventory.finish(held, Outcome(State.NEW))
    rows = drill.check()
    assert all(row.loadattempts <= 3 for row in rows.values())


def test_an_inventory_that_vanishes_and_is_made_again(drill: Drill) -> None:
    drill.prepare(2)
    with ExitStack() as stack:
        loader = drill.start(stack, "loader.py", "pod-0")
        watcher = drill.start(stack, "watcher.py", "watcher")
        drill.wait(lambda: "load begins" in drill.log("pod-0"))
        drill.world.cluster.delete_domain(drill.world.inventory_domain)
        drill.injected += 1
        drill.wait(
            lambda: "there is no inventory" in drill.log("pod-0") and "there is no inventory" in drill.log("watcher")
        )
        inventory = drill.world.make_inventory()
        drill.wait(lambda: len(drill.in_state(inventory, State.LOADED)) == 2, 120)
        assert loader.poll() is None and watcher.poll() is None
    drill.check()


@pytest.mark.parametrize("fault", ["500", "503", "403", "404", "slow", "cut"])
def test_s3_answers_for_a_while_with(drill: Drill, fault: str) -> None:
    inventory = drill.prepare(2)
    with s3_proxy(drill.world) as (handler, endpoint), ExitStack() as stack:
        handler.fault = fault
        drill.start(stack, "watcher.py", "watcher", aws_s3_gateway=endpoint)
        drill.start(stack, "loader.py", "pod-0", aws_s3_gateway=endpoint, max_attempts=50, retry_pause=1)
        drill.wait(lambda: handler.hit >= 5)
        time.sleep(3)
        assert not drill.in_state(inventory, State.LOAD_FAILED), [row.loadreason for row in inventory.rows()]
        drill.injected = handler.hit
        handler.fault = ""
        drill.wait(lambda: len(drill.in_state(inventory, State.LOADED)) == 2, 120)
    drill.check()
