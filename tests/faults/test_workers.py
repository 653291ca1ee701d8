"""Workers that are killed, stopped, paused, started and stopped at random."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from bucket_loader.inventory.states import State
from tests.faults.drill import LEASE, Drill, children, hears
from tests.proxy import lossy
from tests.s3_proxy import s3_proxy
from tests.world import TARGET

pytestmark = pytest.mark.faults


def test_a_loader_killed_at_any_moment(drill: Drill) -> None:
    inventory = drill.prepare(5)
    with ExitStack() as stack:
        for turn in range(10):
            loader = drill.start(stack, "loader.py", f"pod-{turn}", max_attempts=20)
            drill.wait(lambda: drill.in_state(inventory, State.LOADING) or not drill.in_state(inventory, State.NEW))
            drill.pause(0, 2.5)
            drill.kill(loader)
    drill.world.settings["max_attempts"] = 20
    rows = drill.check()
    # a loader has two rows at most: one that is flushed, one that is loaded
    assert sum(row.loadattempts for row in rows.values()) <= 5 + 2 * drill.injected


def test_the_child_of_a_loader_killed(drill: Drill) -> None:
    inventory = drill.prepare(12)
    with ExitStack() as stack:
        loader = drill.start(stack, "loader.py", "pod-0", load_engine="hsload")
        while drill.injected < 2:
            drill.wait(lambda: children(loader.pid))
            drill.pause(0, 0.1)
            for child in children(loader.pid):  # none is left when it was faster; the next file has others
                os.kill(child, signal.SIGKILL)
                drill.injected += 1
        drill.wait(lambda: len(drill.in_state(inventory, State.LOADED)) == 12)
        assert loader.poll() is None
    assert "was killed by signal 9 SIGKILL (out of memory?)" in drill.log("pod-0")
    drill.check()


def test_a_child_killed_that_is_kept_for_several_files(drill: Drill) -> None:
    """Between two files it is nobody's loss, in one of them that file's, which is tried again."""
    inventory = drill.prepare(60)
    # a child takes a second or more to start: on a slow machine a file is hit often before one comes through
    drill.world.settings |= {"load_engine": "direct", "tgt_bucket": TARGET, "max_attempts": 100, "retry_pause": 0}
    with ExitStack() as stack:
        loader = drill.start(stack, "loader.py", "pod-0", workers=2)
        while len(drill.in_state(inventory, State.LOADED)) < 60:
            drill.pause(0, 1)
            for child in children(loader.pid) if drill.injected < 60 else ():
                os.kill(child, signal.SIGKILL)
                drill.injected += 1
        assert loader.poll() is None and drill.injected
    rows = drill.check()
    assert sum(row.loadattempts for row in rows.values()) <= 60 + drill.injected


@pytest.mark.parametrize("moment", ["before hsload", "in hsload"])
def test_a_loader_paused_past_its_lease(drill: Drill, moment: str, tmp_path: Path) -> None:
    slow = tmp_path / "slow"
    slow.write_text('#!/bin/sh\nsleep 15\nexec hsload "$@"\n')
    slow.chmod(0o755)
    inventory = drill.prepare(1)
    with s3_proxy(drill.world) as (handler, gateway), ExitStack() as stack:
        handler.fault = "slow"
        # the look at the file, or the load, takes long enough to be met
        settings = (
            {"aws_s3_gateway": gateway} if moment == "before hsload" else {"hsload": slow, "load_engine": "hsload"}
        )
        paused = drill.start(stack, "loader.py", "paused", **settings)
        drill.wait(lambda: "load begins" in drill.log("paused"))
        drill.kill(paused, signal.SIGSTOP)
        assert drill.in_state(inventory, State.LOADING)
        time.sleep(LEASE + 2)
        other = drill.start(stack, "loader.py", "other")
        drill.wait(lambda: drill.in_state(inventory, State.LOADED))
        drill.kill(paused, signal.SIGCONT)
        drill.wait(lambda: "lost its row" in drill.log("paused") or "called off" in drill.log("paused"), 30)
        row = inventory.row(0)
        assert (row.state, row.loadpodname.partition("/")[0]) == (State.LOADED, "other")
        assert other.poll() is None and paused.poll() is None
    drill.check()


def test_told_to_stop_at_any_moment(drill: Drill) -> None:
    inventory = drill.prepare(4)
    with ExitStack() as stack:
        for turn in range(6):
            loader = drill.start(stack, "loader.py", f"pod-{turn}")
            drill.wait(partial(hears, loader.pid))
            drill.wait(lambda: drill.in_state(inventory, State.LOADING) or not drill.in_state(inventory, State.NEW))
            drill.pause(0, 2.5)
            drill.kill(loader, signal.SIGTERM)
            assert loader.wait(20) == 0
            assert not drill.in_state(inventory, State.LOADING), "a row is given back, or finished, before the end"
    rows = drill.check()
    assert {row.loadattempts for row in rows.values()} == {1}, "to be told to stop is no attempt"


@pytest.mark.parametrize("moment", ["claim", "load", "flush", "finish"])
def test_told_to_stop_during_a(drill: Drill, moment: str) -> None:
    inventory = drill.prepare(2)
    servers = drill.world.servers
    behind, setting = (servers.cluster, "hsds_endpoint")
    if moment in ("load", "flush"):
        behind, setting = (servers.pod, "hsds_local")
        drill.world.settings["load_engine"] = "hsload"  # which alone asks it
    with lossy(int(behind.endpoint.rpartition(":")[2])) as proxy, ExitStack() as stack:
        loader = drill.start(stack, "loader.py", "pod-0", **{setting: proxy.endpoint})
        proxy.hold = {
            "claim": lambda part: b"notbefore" in part.partition(b"\r\n")[0],
            # what hsload asks: the look before it asks nothing
            "load": lambda _: children(loader.pid),
            # hsload, too, flushes what it wrote: ours comes when it is gone
            "flush": lambda part: b'"flush"' in part and not children(loader.pid),
            "finish": lambda part: b'"loaddone"' in part and b'"loadmode"' in part,
        }[moment]
        drill.wait(proxy.held.is_set)
        began = time.monotonic()
        drill.kill(loader, signal.SIGTERM)
        time.sleep(1)
        assert loader.poll() is None, "what is on its way is waited for"
        if moment != "load":
            proxy.let_go.set()
        assert loader.wait(20) == 0
        assert time.monotonic() - began < float(str(drill.world.settings["shutdown_grace"])) + 10
        assert not drill.in_state(inventory, State.LOADING)
        done = drill.in_state(inventory, State.LOADED)
        # while one row is finished, the next may be loaded
        assert bool(done) == (moment == "finish") or moment in ("load", "flush")
    rows = drill.check()
    assert {row.loadattempts for row in rows.values()} == {1}, "to be told to stop is no attempt"


def test_told_twice_to_stop(drill: Drill, tmp_path: Path) -> None:
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nsleep 60\n")
    slow.chmod(0o755)
    inventory = drill.prepare(1)
    with ExitStack() as stack:
        loader = drill.start(stack, "loader.py", "pod-0", hsload=slow, load_engine="hsload", shutdown_grace=50)
        drill.wait(lambda: children(loader.pid))
        drill.kill(loader, signal.SIGTERM)
        time.sleep(1)
        assert drill.in_state(inventory, State.LOADING)
        began = time.monotonic()
        drill.kill(loader, signal.SIGINT)
        assert loader.wait(15) == 0
        assert time.monotonic() - began < 12
        assert not drill.in_state(inventory, State.LOADING)
    drill.check()


def test_a_pod_whose_container_is_restarted(drill: Drill) -> None:
    inventory = drill.prepare(2)
    with ExitStack() as stack:
        first = drill.start(stack, "loader.py", "pod-0", lease_time=600)
        drill.wait(lambda: drill.in_state(inventory, State.LOADING))
        drill.kill(first)
        drill.start(stack, "loader.py", "pod-0", lease_time=600)
        drill.wait(lambda: len(drill.in_state(inventory, State.LOADED)) == 2)
        assert "takes up again rows=1 pod=pod-0" in drill.log("pod-0")
    drill.check()


def test_a_file_that_kills_its_loader_every_time(drill: Drill, tmp_path: Path) -> None:
    """It takes three others along, which are tried alone and loaded."""
    tool = tmp_path / "deadly"
    deadly = "*file-001*) sleep 2; kill -9 $PPID; sleep 1;;"
    tool.write_text(f'#!/bin/sh\ncase "$*" in {deadly} *) sleep 4;; esac\nexec hsload "$@"\n')
    tool.chmod(0o755)
    inventory = drill.prepare(4)
    with ExitStack() as stack:
        while inventory.row(1).state is not State.LOAD_FAILED:
            loader = drill.start(stack, "loader.py", "pod-0", hsload=tool, load_engine="hsload", workers=4)
            drill.wait(lambda p=loader: p.poll() is not None or inventory.row(1).state is State.LOAD_FAILED)
            drill.injected += loader.poll() is not None
        drill.wait(lambda: len(drill.in_state(inventory, State.LOADED)) == 3)
    assert drill.injected == 4, drill.log("pod-0")  # once beside others, which does not count
    rows = drill.check(failed=frozenset({"file-001.h5"}))
    assert "its worker died in each of 3 attempts" in rows["file-001.h5"].loadreason


@pytest.mark.timeout(1800)
def test_eight_loaders_started_and_stopped_at_random(drill: Drill) -> None:
    files = int(os.environ.get("FAULT_FILES", "200"))
    seconds = float(os.environ.get("FAULT_SECONDS", "120"))
    drill.prepare(files)
    # a row may meet SIGKILL by chance as often as a file that kills its worker
    drill.world.settings["max_attempts"] = 20
    running: dict[str, subprocess.Popen[bytes]] = {}
    murders = 0
    with ExitStack() as stack:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            pod = f"pod-{drill.random.randrange(8)}"
            if pod in running:
                number = drill.random.choice([signal.SIGTERM, signal.SIGTERM, signal.SIGKILL])
                murders += number == signal.SIGKILL
                drill.kill(running.pop(pod), number)
            else:
                running[pod] = drill.start(stack, "loader.py", pod)
            drill.pause(0.5, 2)
        for loader in running.values():
            drill.wait(partial(hears, loader.pid))
            drill.kill(loader, signal.SIGTERM)
            assert loader.wait(30) == 0
    rows = drill.check()
    assert sum(row.loadattempts for row in rows.values()) <= files + murders, "attempts are not wasted"
