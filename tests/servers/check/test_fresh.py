"""A check reads what is in storage: one through the HSDS that loaded a file proves nothing, and is not believed."""

from __future__ import annotations

import time

import pytest
import requests

from bucket_loader.pod.data_nodes import was_not_given
from tests import files
from tests.world import World

pytestmark = pytest.mark.servers


def load(world: World) -> None:
    world.put("a.h5", files.GOOD["chunked.h5"])
    world.make_inventory()
    world.scan()
    world.ok("loader.py", "--drain")


@pytest.mark.long
def test_what_the_loading_hsds_tells_is_not_verified_until_it_was_restarted(world: World) -> None:
    world.settings = {"hsds_local": world.servers.pod.endpoint, "link_files": False}
    load(world)
    world.ok("differ.py", "--drain")
    row = world.rows()["a.h5"]
    assert row["state"] == "check failed"
    assert row["diffresult"].startswith("no difference, but not proven: HSDS at ")
    time.sleep(1.1)  # the start of a node is told in whole seconds
    world.servers.pod.dn.kill()
    world.servers.pod.restart()
    world.ok("reset_inventory.py", "--checks", "--yes")
    world.ok("differ.py", "--drain")
    assert world.rows()["a.h5"]["state"] == "verified"


@pytest.mark.long
def test_a_differ_with_an_hsds_of_its_own_stores_nothing(world: World) -> None:
    load(world)
    world.ok("differ.py", "--drain")
    (node,) = requests.get(f"{world.servers.checker.endpoint}/about", timeout=10).json()["dn_urls"]
    said = requests.get(f"{node}/info", timeout=10).json()
    row = world.rows()["a.h5"]
    assert row["state"] == "verified", (row["diffresult"], said)
    assert said["req_count"]["PUT"] == 0


@pytest.mark.parametrize(
    ("info", "fresh"),
    [
        ({"node": {"start_time": 100}, "req_count": {"PUT": 0}}, True),
        ({"node": {"start_time": 100}, "req_count": {"PUT": 1}}, False),
        ({"node": {"start_time": 201}, "req_count": {"PUT": 1}}, True),
        ({"node": {"start_time": 200}, "req_count": {"PUT": 1}}, False),
        ({"node": {"start_time": 100}}, False),
        ({}, False),
    ],
)
def test_a_node_that_was_not_given_the_domain(info: dict[str, object], fresh: bool) -> None:
    assert was_not_given(info, 200) is fresh
