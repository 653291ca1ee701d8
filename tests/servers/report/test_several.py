"""Several inventories in one report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bucket_loader.inventory.claims import Inventory
from bucket_loader.inventory.model import Outcome
from bucket_loader.inventory.states import LOAD, State
from bucket_loader.report.select import Selection, rows
from bucket_loader.report.several import Several
from bucket_loader.report.summary import summarize
from bucket_loader.s3 import SourceObject
from tests.world import World


def made(world: World, name: str, *sizes: int) -> Inventory:
    """An inventory with a file of each size, the last of which failed."""
    inventory = Inventory.create(world.cluster, f"/home/admin/{world.bucket}-{name}.h5", public=False)
    inventory.append([SourceObject(f"{name}/{size:03}.h5", size, "e", 1) for size in sizes])
    for _ in sizes:
        claim = inventory.claim(LOAD, f"pod of {name}", 60)
        assert claim is not None
        failed = claim.row.size == sizes[-1]
        inventory.finish(
            claim, Outcome(State.LOAD_FAILED if failed else State.LOADED, reason="no HDF5 file" if failed else "")
        )
    return inventory


@pytest.fixture
def two(world: World) -> list[Inventory]:
    return [made(world, "one", 5, 40, 3), made(world, "two", 20, 100)]


def test_rows_are_read_as_one_and_know_where_they_are(two: list[Inventory]) -> None:
    both = Several(two)
    assert [(row.inventory, row.index, row.size) for row in rows(both, Selection())] == [
        *((two[0].domain, index, size) for index, size in enumerate((5, 40, 3))),
        *((two[1].domain, index, size) for index, size in enumerate((20, 100))),
    ]
    assert [row.size for row in rows(both, Selection(sort="size"))] == [100, 40, 20, 5, 3]
    assert [row.size for row in rows(both, Selection(sort="size", reverse=True, limit=2))] == [3, 5]
    assert [row.size for row in rows(both, Selection(limit=4))] == [5, 40, 3, 20]
    assert [row.filename for row in rows(both, Selection(pods=("pod of two",)))] == ["two/020.h5", "two/100.h5"]


def test_the_summary_adds_them_up(two: list[Inventory]) -> None:
    found = summarize(Several(two))
    assert (found.rows, found.bytes, found.counts[State.LOADED], found.failed) == (5, 168, 3, 2)
    assert [(pod.name, pod.good, pod.failed) for pod in found.pods] == [("pod of one", 2, 1), ("pod of two", 1, 1)]


@pytest.mark.long
def test_the_command(world: World, two: list[Inventory], tmp_path: Path) -> None:
    which = [f"--inventory={one.domain}" for one in two]
    shown = [json.loads(line) for line in world.ok("dump_inventory.py", "--json", "--sort=size", *which).splitlines()]
    assert [(row["inventory"], row["index"], row["size"]) for row in shown][:2] == [
        (two[1].domain, 1, 100),
        (two[0].domain, 1, 40),
    ]
    text = world.ok("dump_inventory.py", *which)
    assert "2 inventories" in text and "5 files" in text
    assert text.index(f"\n{two[0].domain}:\n") < text.index("one/005.h5") < text.index(f"\n{two[1].domain}:\n")
    assert "2 failures, 1 reasons" in world.ok("dump_inventory.py", "--failed", *which)
    assert "5 rows" in world.ok("dump_inventory.py", f"--html={tmp_path / 'page.html'}", *which)
    assert world.ok("dump_inventory.py", "--json", *which[:1]).count("\n") == 3
    refused = world.run("dump_inventory.py", *which, "--inventory=/home/admin/none.h5")
    assert refused.returncode != 0 and "there is no inventory /home/admin/none.h5" in refused.stderr
