"""A loader whose threads end by an error that nobody foresaw: what it says, and how it ends."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests import files
from tests.world import ROOT, World

pytestmark = pytest.mark.servers

# the loader, with a defect in it: of the threads up to a number, one step breaks off
DEFECT = """
import sys, threading
sys.path.insert(0, {root!r})
from bucket_loader import worker
from loader import main
whole, lock, left = worker.Worker.step, threading.Lock(), [{times}]
def step(self):
    with lock:
        left[0] -= 1
        if left[0] >= 0:
            raise KeyError("no such\\nthing")
    return whole(self)
worker.Worker.step = step
sys.exit(main(sys.argv[1:]))
"""


@contextmanager
def breaking(world: World, times: int) -> Iterator[subprocess.Popen[str]]:
    for number in range(3):
        world.put(f"{number}.h5", files.GOOD["scalar.h5"])
    world.ok("make_inventory.py")
    world.ok("watcher.py", "--once")
    program = DEFECT.format(root=str(ROOT), times=times)
    argv = [sys.executable, "-c", program, "--drain", "--workers=1"]
    with subprocess.Popen(
        argv, env=world.env(), cwd=world.servers.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as loader:
        try:
            yield loader
        finally:
            loader.kill()


def test_a_loader_whose_threads_break_off_says_why_and_ends_with_1(world: World) -> None:
    with breaking(world, 2) as loader:  # one loads, one waits for a flush
        out = loader.communicate(timeout=60)[0]
    assert loader.returncode == 1, out
    said = [line for line in out.splitlines() if " ERROR a worker broke off: KeyError: 'no such\\nthing' " in line]
    assert len(said) == 2, out
    assert "stops done=0 failed=0 broken=2 " in out and "Traceback" not in out


def test_one_thread_that_breaks_off_is_said_at_once_and_the_others_go_on(world: World) -> None:
    with breaking(world, 1) as loader:
        assert loader.stdout is not None
        out = ""
        for line in loader.stdout:
            out += line
            if "a worker broke off" in line:
                break
        assert loader.poll() is None, out
        out += loader.communicate(timeout=100)[0]
    assert loader.returncode == 1 and out.count("load ended") == 3, out
    assert "stops done=3 failed=0 broken=1 " in out
