"""What a load asks of HSDS besides hsload, and what it does when the server has changed underneath."""

from __future__ import annotations

from collections import Counter

import pytest

from bucket_loader.hsds import USER_AGENT
from bucket_loader.local_servers import HsdsServer
from bucket_loader.servers import Servers
from bucket_loader.source import Source
from bucket_loader.states import State
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


def test_a_load_asks_eight_times_at_most(world: World) -> None:
    found = []
    world.ok("make_inventory.py")
    for count in (1, 4):
        for number in range(count):
            world.put(f"a/b/{count}-{number}.h5", files.GOOD["chunked.h5"])
        world.ok("watcher.py", "--once")
        found.append(own_requests(world))
    assert all(row["state"] == "loaded" for row in world.rows().values())
    # what a start and an end cost is in both
    more = found[1] - found[0]
    assert 0 < more.total() <= 3 * AT_MOST, more


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


def test_a_password_that_was_changed_fails_no_file(world: World) -> None:
    world.put("a.h5", files.GOOD["chunked.h5"])
    inventory = world.make_inventory()
    world.ok("watcher.py", "--once")
    root, s3 = world.servers.root, world.servers.s3
    with HsdsServer(root, s3, "target", {USER: "another-word"}, "changed") as changed:
        world.settings["hsds_local"] = changed.endpoint
        done = world.run("loader.py", "--once", env={"READY_TIMEOUT": "5"})
    assert "the password of user 'admin' is wrong" in done.stdout + done.stderr
    row = inventory.row(0)
    assert (row.state, row.loadattempts) == (State.NEW, 0)
