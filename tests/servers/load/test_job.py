"""What a load asks of HSDS besides hsload, and what it does when the server has changed underneath."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from bucket_loader.children.tool import Tools
from bucket_loader.errors import CalledOff
from bucket_loader.hsds import USER_AGENT
from bucket_loader.inventory.model import Claim
from bucket_loader.inventory.states import LOAD, State
from bucket_loader.load.job import LoadJob
from bucket_loader.local.servers import HsdsServer
from bucket_loader.pod.servers import Servers
from bucket_loader.s3 import Source
from tests import files
from tests.proxy import lossy
from tests.world import USER, World

pytestmark = pytest.mark.servers

AT_MOST = 8


@pytest.fixture(autouse=True)
def credentials(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in world.servers.s3.env().items():
        monkeypatch.setenv(name, value)


def own_requests(world: World) -> Counter[bytes]:
    """Load what waits; the loader's own requests to both servers, by method and path."""
    port = {server: int(server.endpoint.rpartition(":")[2]) for server in (world.servers.cluster, world.servers.pod)}
    with lossy(port[world.servers.cluster]) as cluster, lossy(port[world.servers.pod]) as pod:
        world.ok("loader.py", "--drain", f"--hsds_endpoint={cluster.endpoint}", f"--hsds_local={pod.endpoint}")
        mine = [head for head in cluster.heads + pod.heads if USER_AGENT.encode() in head]
    return Counter(head.partition(b"?")[0].partition(b" HTTP")[0] for head in mine)


@pytest.mark.long
def test_a_load_asks_eight_times_at_most(world: World) -> None:
    found = []
    world.make_inventory()
    # so many that what an idle thread asks on a slow machine, while the last file is flushed, does not count
    for count in (1, 11):
        for number in range(count):
            world.put(f"a/b/{count}-{number}.h5", files.GOOD["chunked.h5"])
        world.scan()
        found.append(own_requests(world))
    assert all(row["state"] == "loaded" for row in world.rows().values())
    # what a start and an end cost is in both
    more = found[1] - found[0]
    assert 0 < more.total() <= 10 * AT_MOST, more


def test_a_folder_that_somebody_removed_is_made_again(world: World) -> None:
    servers = Servers(world.config(), Source(world.config()))
    domain = f"{world.folder}a/b/c.h5"
    servers.make_folder_of(domain, world.folder)
    assert not servers.folder_vanished(domain)
    servers.make_folder_of(domain, world.folder)
    assert world.pod.delete_domain(f"{world.folder}a/b")
    assert servers.folder_vanished(domain)
    servers.make_folder_of(domain, world.folder)
    assert not servers.folder_vanished(domain)


@pytest.mark.parametrize("when", ["before hsload", "after it failed"])
def test_a_loader_that_lost_its_row_leaves_the_domain_of_the_one_that_has_it(
    world: World, tmp_path: Path, when: str
) -> None:
    world.put("a.h5", files.GOOD["chunked.h5"])
    inventory = world.make_inventory()
    world.scan()
    before = when == "before hsload"
    # a second attempt first deletes what the first one left
    claim = Claim(replace(inventory.row(0), loadattempts=2 if before else 1), LOAD, 1, "")
    world.ok("loader.py", "--once")
    root = world.cluster.root_of(f"{world.folder}a.h5")

    ran, failing = tmp_path / "ran", tmp_path / "failing"
    failing.write_text(f"#!/bin/sh\ntouch {ran}\necho ERROR cannot read\nexit 1\n")
    failing.chmod(0o755)
    config = world.config(hsload=str(failing), hsdiff=str(failing))
    source = Source(config)
    job = LoadJob(config, Servers(config, source), Tools(config, source), inventory)
    with pytest.raises(CalledOff):
        job.run(claim, lambda: not before and not ran.exists(), lambda: None)
    assert ran.exists() is not before
    assert world.cluster.root_of(f"{world.folder}a.h5") == root
    assert world.pod.root_of(f"{world.folder}a.h5") == root


@pytest.mark.long
def test_a_password_that_was_changed_fails_no_file(world: World) -> None:
    world.put("a.h5", files.GOOD["chunked.h5"])
    inventory = world.make_inventory()
    world.scan()
    root, s3 = world.servers.root, world.servers.s3
    with HsdsServer(root, s3, "target", {USER: "another-word"}, "changed") as changed:
        world.settings["hsds_local"] = changed.endpoint
        done = world.run("loader.py", "--once", env={"READY_TIMEOUT": "5"})
    assert "the password of user 'admin' is wrong" in done.stdout + done.stderr
    row = inventory.row(0)
    assert (row.state, row.loadattempts) == (State.NEW, 0)
