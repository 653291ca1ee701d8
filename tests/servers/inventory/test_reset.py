"""reset_inventory.py: what an operator can put back, and what is refused."""

from __future__ import annotations

import time

import pytest

from bucket_loader.inventory.claims import Inventory
from bucket_loader.inventory.model import Outcome
from bucket_loader.inventory.states import CHECK, LOAD, State, Work
from bucket_loader.s3 import SourceObject
from tests.world import World


def ended(inventory: Inventory, work: Work, state: State) -> None:
    held = inventory.claim(work, "pod", 60)
    assert held is not None
    inventory.finish(held, Outcome(state, 1, "a reason"))


@pytest.fixture
def inventory(world: World) -> Inventory:
    """Rows: load failed, verified, check failed, loading (held), loading (its worker is gone), new."""
    made = world.make_inventory()
    made.append([SourceObject(f"dir/{number}.h5", 1, "e", 1) for number in range(6)])
    for state in (State.LOAD_FAILED, State.LOADED, State.LOADED):
        ended(made, LOAD, state)
    for state in (State.VERIFIED, State.CHECK_FAILED):
        ended(made, CHECK, state)
    assert made.claim(LOAD, "works", 600) is not None
    assert made.claim(LOAD, "gone", 60, now=time.time() - 3600) is not None
    return made


def states(inventory: Inventory) -> list[str]:
    return [row.state.label for row in inventory.rows()]


START = ["load failed", "verified", "check failed", "loading", "loading", "new"]


def test_nothing_is_put_back_without_a_choice(world: World, inventory: Inventory) -> None:
    done = world.run("reset_inventory.py")
    assert done.returncode == 2 and "nothing chosen" in done.stderr


def test_failed_rows_are_tried_again(world: World, inventory: Inventory) -> None:
    said = world.ok("reset_inventory.py", "--failed", "--dry-run")
    assert "1 rows: load failed -> new" in said and "1 rows: check failed -> loaded" in said and "dir/0.h5" in said
    assert states(inventory) == START
    assert "2 rows put back" in world.ok("reset_inventory.py", "--failed", "--yes")
    assert states(inventory) == ["new", "verified", "loaded", "loading", "loading", "new"]
    row = inventory.row(0)
    assert (row.loadattempts, row.loadstart, row.diffresult) == (0, 0, "")


def test_it_asks_first(world: World, inventory: Inventory) -> None:
    done = world.run("reset_inventory.py", "--failed", stdin="n\n")
    assert done.returncode == 1 and "nothing was done" in done.stdout
    assert world.run("reset_inventory.py", "--failed", stdin="").returncode == 1, "nobody there to answer"
    assert states(inventory) == START
    assert world.run("reset_inventory.py", "--failed", stdin="y\n").returncode == 0


def test_stuck_rows_go_back_but_not_those_that_are_worked_on(world: World, inventory: Inventory) -> None:
    assert "no row is chosen" in world.ok("reset_inventory.py", "--stuck", "600", "--yes")
    said = world.ok("reset_inventory.py", "--stuck", "0", "--yes")
    assert "1 chosen rows are in work and are left alone (--force takes them): dir/3.h5" in said
    assert states(inventory)[3:] == ["loading", "new", "new"]
    world.ok("reset_inventory.py", "--stuck", "0", "--yes", "--force")
    assert states(inventory)[3:] == ["new", "new", "new"]


def test_all_checks_can_be_made_again(world: World, inventory: Inventory) -> None:
    world.ok("reset_inventory.py", "--checks", "--yes")
    assert states(inventory)[:3] == ["load failed", "loaded", "loaded"]


def test_keys_by_pattern(world: World, inventory: Inventory) -> None:
    world.ok("reset_inventory.py", "--key", "dir/[12].h5", "--key", "no-such", "--yes")
    assert states(inventory)[:3] == ["load failed", "new", "new"]
    done = world.run("reset_inventory.py", "--key", "dir/3.h5", "--yes")
    assert done.returncode == 1 and "in work" in done.stdout
