"""Whether a hung worker is found out, and a slow one left alone."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from bucket_loader.hsds import USER_AGENT
from bucket_loader.local.servers import free_port
from bucket_loader.pod.health import PortTaken, Pulse, served
from tests import files
from tests.proxy import lossy
from tests.unit.pod.test_health import get
from tests.waiting import until
from tests.world import World


def seen(check: Callable[[], bool], process: subprocess.Popen[str], seconds: float = 30) -> None:
    """Wait for something that a process does, which may not answer yet."""

    def so_far() -> bool:
        try:
            return check()
        except OSError:
            return False

    until(so_far, seconds, pause=0.2, process=process)


def test_a_port_that_is_taken_is_one_line(world: World) -> None:
    with socket.create_server(("", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortTaken, match=f"metrics_port {port} "), served(port, Pulse(1), CollectorRegistry()):
            pass
        done = world.run("watcher.py", "--once", env={"METRICS_PORT": str(port)})
    assert done.returncode == 1
    assert done.stderr == (
        f"watcher.py: metrics_port {port} cannot be listened on (Address already in use): set another one, or null for "
        "none\n"
    )


# -- real loaders ------------------------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.servers
def test_a_loader_in_a_call_without_an_end_is_found_out(world: World) -> None:
    port = free_port()
    world.make_inventory()
    with lossy(world.servers.cluster.port) as proxy:
        env = {"METRICS_PORT": str(port), "STUCK_AFTER": "3", "HSDS_ENDPOINT": proxy.endpoint}
        with world.running("loader.py", env=env) as loader:
            seen(lambda: get(port)[0] == 200, loader)
            proxy.dripping.set()  # answers that never end: no time limit of a request runs out
            seen(lambda: get(port)[0] == 503, loader)
            status, text = get(port)
            assert status == 503
            assert text.startswith("MainThread has made no progress for ")
            assert " in hsds.py:" in text, "where it hangs"
            proxy.dripping.clear()
            seen(lambda: get(port) == (200, "ok\n"), loader)


@pytest.mark.servers
def test_a_loader_that_is_stopped_does_not_answer(world: World) -> None:
    port = free_port()
    world.make_inventory()
    with world.running("loader.py", env={"METRICS_PORT": str(port)}) as loader:
        seen(lambda: get(port)[0] == 200, loader)
        os.kill(loader.pid, signal.SIGSTOP)
        with pytest.raises(TimeoutError):
            get(port, timeout=2)
        os.kill(loader.pid, signal.SIGCONT)
        seen(lambda: get(port)[0] == 200, loader)


@pytest.mark.long
@pytest.mark.servers
def test_a_load_that_takes_long_is_no_hang(world: World, tmp_path: Path) -> None:
    """Two workers: one whose child outlasts `stuck_after` several times, one that finds nothing to do."""
    port = free_port()
    slow = tmp_path / "slow_hsload"
    slow.write_text("#!/bin/sh\nexec sleep 20\n")
    slow.chmod(0o755)
    world.put("a.h5", files.GOOD["scalar.h5"])
    world.make_inventory()
    world.scan()
    env = {
        "METRICS_PORT": str(port),
        "STUCK_AFTER": "4",
        "WORKERS": "2",
        "HSLOAD": str(slow),
        "LINK_FILES": "false",
        "MAX_ATTEMPTS": "1",
        "LEASE_TIME": "5",
    }
    with world.running("loader.py", env=env) as loader:
        seen(lambda: world.inventory().counts()[2] == 1, loader)
        deadline = time.monotonic() + 14
        while time.monotonic() < deadline:
            assert get(port) == (200, "ok\n")
            time.sleep(0.3)
        assert world.inventory().counts()[2] == 1, "still the same load"
        assert 'bucket_loader_files_in_work{work="load"} 1.0' in get(port, "/metrics")[1].splitlines()
        seen(lambda: world.inventory().counts()[2] == 0, loader)


@pytest.mark.long
@pytest.mark.servers
def test_a_step_of_many_slow_requests_is_no_hang(world: World) -> None:
    """What follows hsload takes several times `stuck_after`, each of its requests less; none of them is in a child."""
    port = free_port()
    world.put("a.h5", files.GOOD["scalar.h5"])
    world.make_inventory()
    world.scan()
    slow: list[bytes] = []

    def delay(request: bytes) -> float:
        ours = USER_AGENT.encode() in request
        if ours and (slow or request.startswith(b"PUT /?")):  # from the flush on
            slow.append(request)
            return 3.0
        return 0.0

    with lossy(world.servers.cluster.port) as cluster, lossy(world.servers.pod.port) as pod:
        cluster.delay = pod.delay = delay
        env = {"HSDS_ENDPOINT": cluster.endpoint, "HSDS_LOCAL": pod.endpoint, "PUBLIC_READ": "true"}
        with world.running("loader.py", env=env | {"METRICS_PORT": str(port), "STUCK_AFTER": "5"}) as loader:
            seen(lambda: bool(slow), loader)
            while world.inventory().counts()[2]:
                assert get(port) == (200, "ok\n")
                time.sleep(0.3)
    assert len(slow) > 3
    assert world.inventory().row(0).loadattempts == 1


@pytest.mark.long
@pytest.mark.servers
def test_a_pod_that_waits_for_its_servers_is_well(world: World) -> None:
    port = free_port()
    env = {"METRICS_PORT": str(port), "STUCK_AFTER": "12", "HSDS_ENDPOINT": f"http://127.0.0.1:{free_port()}"}
    with world.running("watcher.py", env=env) as watcher:
        seen(lambda: get(port)[0] == 200, watcher)
        time.sleep(14)
        assert get(port) == (200, "ok\n")
        assert watcher.poll() is None
