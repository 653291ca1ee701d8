"""Inventories of 2021: ten columns, and everything that is shown works on them, read-only."""

from __future__ import annotations

import csv
import io
import json
import time
from pathlib import Path

import h5pyd
import numpy as np
import pytest

from tests.world import PASSWORD, USER, Servers, World

COLUMNS_OF_2021 = np.dtype(
    [
        ("filename", "S64"),
        ("loadstart", "i8"),
        ("loaddone", "i8"),
        ("loadstatus", "i4"),
        ("loadpodname", "S40"),
        ("diffstart", "i8"),
        ("diffdone", "i8"),
        ("diffstatus", "i4"),
        ("diffpodname", "S40"),
        ("diffresult", "S80"),
    ]
)


@pytest.fixture(scope="session")  # xdist may come back to this module, and a bucket is there once
def old(servers: Servers) -> World:
    """Six rows, one in each state of then, and an empty one."""
    world = World.make(servers, "of 2021")
    now = int(time.time())
    rows = np.zeros(7, COLUMNS_OF_2021)
    rows["filename"][:6] = [b"new.h5", b"loading.h5", b"failed.h5", b"loaded.h5", b"verified.h5", b"differs.h5"]
    rows["loadstart"][1:6], rows["loaddone"][2:6] = now - 500, now - 440
    rows["loadstatus"][2], rows["loadpodname"][1:6] = 255, b"loader-1"
    rows["diffstart"][4:6], rows["diffdone"][4:6], rows["diffpodname"][4:6] = now - 400, now - 390, b"differ-1"
    rows["diffstatus"][5], rows["diffresult"][4:6] = 1, [b"PASSED", b"DATASET </a> differs"]
    endpoint = world.servers.cluster.endpoint
    with h5pyd.File(world.inventory_domain, "w", endpoint=endpoint, username=USER, password=PASSWORD) as file:
        table = file.create_dataset("inventory", shape=(7,), maxshape=(None,), dtype=COLUMNS_OF_2021)
        table[:] = rows
        file.flush()
    return world


def test_the_summary(old: World) -> None:
    text = old.ok("dump_inventory.py", "--summary")
    assert "6 files, 0 B: 1 verified, 1 loaded, 2 failed, 1 running, 1 waiting" in text
    assert "loader-1: 3 done, 1 failed" in text and "load       0 B  loading.h5" in text
    assert "silent" not in text, "there were no leases"


def test_rows_choices_and_formats(old: World) -> None:
    read = [json.loads(line) for line in old.ok("dump_inventory.py", "--json").splitlines()]
    assert {row["filename"]: row["state"] for row in read} == {
        "new.h5": "new", "loading.h5": "loading", "failed.h5": "load failed", "loaded.h5": "loaded",
        "verified.h5": "verified", "differs.h5": "check failed",
    }  # fmt: skip
    text = old.ok("dump_inventory.py", "--pod", "differ-1", "--sort", "load", "--since", "1h")
    assert "exit status 255" in old.ok("dump_inventory.py", "--state", "load-failed")
    assert text.splitlines()[-1] == "2 rows"
    assert len(list(csv.reader(io.StringIO(old.ok("dump_inventory.py", "--csv"))))) == 7
    assert old.ok("dump_inventory.py", "--sort", "size", "--limit", "2").splitlines()[-1] == "2 rows"


def test_failures_and_the_page(old: World, tmp_path: Path) -> None:
    text = old.ok("dump_inventory.py", "--failed")
    assert "load failed: exit status 255" in text and "check failed: DATASET </… differs" in text
    assert "6 rows" in old.ok("dump_inventory.py", "--html", str(tmp_path / "old.html"))
    assert "DATASET &lt;/a&gt; differs" in (tmp_path / "old.html").read_text()


def test_nothing_is_written_to_it(old: World) -> None:
    done = old.run("reset_inventory.py", "--failed", "--yes")
    assert done.returncode == 1 and "was made by another version" in done.stderr
