"""Every command in the README and docs/: programs' options by their own parsers, and what the runbook says is printed.

A block of the kind `console` has commands after `$ ` and what they print. They are run on real servers, on an inventory
in the state that the runbook speaks of, and each line has to be printed, numbers and times aside.
"""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from bucket_loader.inventory.model import COLUMNS, key_digest
from bucket_loader.inventory.states import State
from tests import files, weekend
from tests.world import ROOT, Servers, World

POD = "hsds-bucket-loader-7d9c6f8b5d-4bq9z"


def examples(page: Path) -> Iterator[tuple[str, list[str]]]:
    """The commands of `console` blocks, with the lines that they print."""
    for block in re.findall(r"```console\n(.*?)```", page.read_text(encoding="utf-8"), re.S):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command, *lines = part.splitlines()
            yield command, lines


def situation(now: int) -> npt.NDArray[np.void]:
    """The rows that the runbook speaks of."""
    names = ["a", "b", "broken", "c", "empty", "d", "e", "tas", "big"]
    rows = np.zeros(len(names), COLUMNS)
    rows["filename"] = [f"2026/{name}.h5".encode() for name in names]
    rows["keyhash"] = [key_digest(f"2026/{name}.h5").hex().encode() for name in names]
    rows["rowid"], rows["size"], rows["added"] = range(1, len(names) + 1), 5781, now - 7200
    rows["loadstart"], rows["loaddone"] = now - 320, now - 312
    rows["diffstart"], rows["diffdone"] = now - 300, now - 291
    rows["state"], rows["loadattempts"], rows["diffattempts"] = State.VERIFIED, 1, 1
    rows["loadpodname"], rows["diffpodname"] = POD.encode(), b"hsds-bucket-diff-5b8d44c6f7-9fjkx"
    rows["diffresult"] = b"PASSED"
    row = dict(zip(names, range(len(names)), strict=True))
    for name in ("broken", "empty", "c", "d", "e"):
        for column in ("diffstart", "diffdone", "diffattempts"):
            rows[column][row[name]] = 0
    for name in ("broken", "empty"):
        rows["state"][row[name]] = State.LOAD_FAILED
        rows["loadreason"][row[name]] = (
            f"s3://climate/2026/{name}.h5 cannot be read: Unable to synchronously open file (file signature not found)"
        ).encode()
    rows["state"][row["c"]], rows["vanished"][row["c"]] = State.LOADED, now - 60
    rows["state"][row["d"]], rows["loaddone"][row["d"]] = State.LOADING, 0
    rows["loadstart"][row["d"]], rows["lease"][row["d"]] = now - 5400, now - 5340
    rows["state"][row["e"]], rows["notbefore"][row["e"]] = State.NEW, now + 240
    rows["loadstart"][row["e"]] = rows["loaddone"][row["e"]] = 0
    rows["loadreason"][row["e"]] = b"hsload: Connection reset by peer"
    rows["state"][row["tas"]], rows["diffresult"][row["tas"]] = State.CHECK_FAILED, b"/tas[12]: 288.5 != nan"
    rows["size"][row["big"]] = 2040109465
    rows["loadstart"][row["big"]], rows["loaddone"][row["big"]] = now - 2000, now - 1148
    rows["diffstart"][row["big"]], rows["diffdone"][row["big"]] = now - 900, now - 330
    return rows


def plain(line: str) -> str:
    """A line without its numbers, spaces, and what is of the place."""
    line = re.sub(r"http://127\.0\.0\.1:\d+", "http://hsds:5101", line)
    return " ".join(re.sub(r"\d+(?:[hms]\b)?(?:[ .,:-]+\d+[hms]?\b)*", "0", line).split())


RUNBOOK = list(examples(ROOT / "docs" / "runbook.md"))


@pytest.fixture  # for each test its own: a row that waits for four minutes does not wait for the other tests
def runbook(servers: Servers, request: pytest.FixtureRequest) -> World:
    world = World.make(servers, f"the runbook: {request.node.name}")
    weekend.fill(world.make_inventory(), situation(int(time.time())))
    return world


@pytest.mark.parametrize(("command", "lines"), RUNBOOK, ids=[command for command, _ in RUNBOOK])
def test_what_the_runbook_shows_is_what_is_printed(
    command: str, lines: list[str], runbook: World, servers: Servers, tmp_path: Path
) -> None:
    script, *arguments = shlex.split(command)
    world = runbook
    if script in ("make_inventory.py", "watcher.py"):
        world = World.make(servers, f"the runbook: {script}")
        for number in range(5):
            world.put(f"{number}.h5", files.GOOD["scalar.h5"])
        if script == "watcher.py":
            world.make_inventory()
        else:
            world.inventory_domain = "/home/admin/inventory.h5"
    if "--html" in arguments:
        arguments[arguments.index("--html") + 1] = str(tmp_path / "report.html")
    done = world.run(script, *arguments)
    assert done.returncode == 0, done.stderr
    printed = {plain(line.replace(f"{tmp_path}/", "")) for line in done.stdout.splitlines()}
    for line in lines:
        assert plain(line) in printed, f"{line}\nis not among\n{done.stdout}"
