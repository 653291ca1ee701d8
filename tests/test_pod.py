"""A loader whose threads end by an error that nobody foresaw: what it says, and how it ends."""

from __future__ import annotations

import time

import pytest

from tests import files
from tests.proxy import lossy
from tests.world import World

pytestmark = pytest.mark.servers


def test_a_loader_whose_threads_break_off_says_why_and_ends_with_1(world: World) -> None:
    world.put("a.h5", files.GOOD["scalar.h5"])
    world.ok("make_inventory.py")
    world.ok("watcher.py", "--once")
    with lossy(world.servers.cluster.port) as proxy:
        # an answer to a claim that no HSDS gives
        proxy.instead = lambda request: b"{}" if b"notbefore" in request.partition(b"\r\n")[0] else b""
        done = world.run("loader.py", f"--hsds_endpoint={proxy.endpoint}", timeout=60)
    threads = 2  # one loads, one waits for a flush
    assert done.returncode == 1, done.stdout
    said = [line for line in done.stdout.splitlines() if " ERROR a worker broke off: " in line]
    assert len(said) == threads and all("KeyError: 'value'" in line for line in said), done.stdout
    assert f"stops done=0 failed=0 broken={threads} " in done.stdout


def test_one_thread_that_breaks_off_is_said_at_once_and_the_others_go_on(world: World) -> None:
    world.ok("make_inventory.py")
    with lossy(world.servers.cluster.port) as proxy:
        given: list[bytes] = []

        def once(request: bytes) -> bytes:
            if given or b"notbefore" not in request.partition(b"\r\n")[0]:
                return b""
            given.append(request)
            return b"{}"

        for number in range(3):
            world.put(f"{number}.h5", files.GOOD["scalar.h5"])
        world.ok("watcher.py", "--once")
        proxy.instead = once
        with world.running("loader.py", "--drain", f"--hsds_endpoint={proxy.endpoint}") as loader:
            out, deadline = "", time.monotonic() + 60
            assert loader.stdout is not None
            while "a worker broke off" not in out and time.monotonic() < deadline:
                out += loader.stdout.readline()
            assert loader.poll() is None, "it is said while the others work"
            out += loader.communicate(timeout=100)[0]
    assert loader.returncode == 1 and out.count("load ended") == 3, out
