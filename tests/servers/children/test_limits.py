"""No tool runs on when its loader is gone, however it went."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests import files
from tests.faults.drill import children
from tests.proxy import lossy
from tests.waiting import until
from tests.world import World

SUPERVISOR = """if True:
    import sys
    from bucket_loader.children import forkserver, supervise
    forkserver.get_ready()
    from bucket_loader.children.limits import Budget, Limits
    command = [sys.executable, "-m", "tests.program", sys.argv[1]]
    supervise.run(command, dict(PATH=""), Limits(Budget(60, "load_time_limit"), 1 << 40, 1 << 40))
"""


def left_of(pids: list[int], seconds: float = 10) -> list[int]:
    """Those of some processes that are still there after a time."""
    deadline = time.monotonic() + seconds
    while (left := [pid for pid in pids if _lives(pid)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def _lives(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_a_forked_child_ends_with_the_process_that_supervised_it(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    code = f"import os, pathlib, time; pathlib.Path({str(mark)!r}).write_text(str(os.getpid())); time.sleep(60)"
    supervisor = subprocess.Popen([sys.executable, "-c", SUPERVISOR, code])
    until(lambda: mark.exists() and mark.read_text(), 30)
    started = [process.pid for process in psutil.Process(supervisor.pid).children(recursive=True)]
    assert int(mark.read_text()) in started
    supervisor.kill()
    supervisor.wait()
    assert left_of(started) == []


@pytest.mark.long
@pytest.mark.parametrize("program", ["forked", "fresh"])
def test_a_killed_loader_leaves_no_hsload_behind(world: World, program: str, tmp_path: Path) -> None:
    if program == "fresh":
        tool = tmp_path / "my-hsload"
        tool.write_text('#!/bin/sh\nexec hsload "$@"\n')
        tool.chmod(0o755)
        world.settings = {"hsload": tool}
    world.put("a.h5", files.GOOD["scalar.h5"])
    world.make_inventory()
    world.scan()
    with lossy(int(world.servers.pod.endpoint.rpartition(":")[2])) as proxy:
        with world.running("loader.py", env={"HSDS_LOCAL": proxy.endpoint}) as loader:
            # what hsload asks: the look before it asks nothing
            proxy.hold = lambda _: bool(children(loader.pid))
            assert proxy.held.wait(60)
            started = [process.pid for process in psutil.Process(loader.pid).children(recursive=True)]
            assert children(loader.pid)
            loader.send_signal(signal.SIGKILL)
            loader.wait()
            left = left_of(started)
        proxy.let_go.set()
    assert left == []
