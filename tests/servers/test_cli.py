"""The console command beside the scripts: the same programs; completion; Ctrl-C; an install by pip."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bucket_loader import cli
from tests.faults.drill import hears
from tests.world import ROOT, World


def test_what_does_not_go_together_is_refused(world: World) -> None:
    done = world.run("dump_inventory.py", "--json", "--summary")
    assert (done.returncode, done.stderr) == (2, "--json goes with rows and with --failed\n")


@pytest.mark.parametrize("library", ["_ssl", "numpy"])
def test_ctrl_c_is_quiet_while_it_imports(world: World, library: str) -> None:
    ctrl_c(world, lambda process: library in Path(f"/proc/{process.pid}/maps").read_text())


def test_ctrl_c_is_quiet_while_it_watches(world: World) -> None:
    began = time.monotonic()
    ctrl_c(world, lambda _: time.monotonic() - began > 4)


def ctrl_c(world: World, when: Callable[[subprocess.Popen[str]], bool]) -> None:
    world.make_inventory()
    env = world.env()
    command = [sys.executable, "dump_inventory.py", "--watch"]
    # what a shell starts in the background ignores SIGINT, and so would all that is started from there
    watching = subprocess.Popen(
        command,
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    while not when(watching):
        assert watching.poll() is None
        time.sleep(0.002)
    watching.send_signal(signal.SIGINT)
    _, said = watching.communicate(timeout=30)
    assert "Traceback" not in said and said == ""
    assert watching.returncode == cli.INTERRUPTED


@pytest.mark.parametrize("script", ["watcher.py", "loader.py", "differ.py"])
def test_a_pod_that_is_told_to_stop_while_it_still_imports_ends_with_0(world: World, script: str) -> None:
    with world.running(script) as process:
        while not hears(process.pid):
            time.sleep(0.001)
        process.terminate()
        said, _ = process.communicate(timeout=20)
    assert (process.returncode, said) == (0, "")
