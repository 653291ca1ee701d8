"""A loader whose threads end by an error that nobody foresaw: what it says, and how it ends."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests import files
from tests.world import World

pytestmark = pytest.mark.servers

# the loader, with a defect in it: the first claims, of so many threads, raise what nobody foresaw
DEFECTIVE = """
import itertools, sys
from bucket_loader import cli
from bucket_loader.inventory import claims

calls, claim = itertools.count(), claims.Inventory.claim


def defective(*arguments, **more):
    if next(calls) < {count}:
        raise KeyError("value")
    return claim(*arguments, **more)


if __name__ == "__main__":
    claims.Inventory.claim = defective
    sys.exit(cli.run("load"))
"""


def defective(folder: Path, count: int) -> str:
    script = folder / "defective_loader.py"
    script.write_text(DEFECTIVE.format(count=count))
    return str(script)


def test_a_loader_whose_threads_break_off_says_why_and_ends_with_1(world: World, tmp_path: Path) -> None:
    world.make_inventory()
    done = world.run(defective(tmp_path, 100), timeout=60)
    threads = 2  # one loads, one waits for a flush
    assert done.returncode == 1, done.stdout
    said = [line for line in done.stdout.splitlines() if " ERROR a worker broke off: " in line]
    assert len(said) == threads and all("KeyError: 'value'" in line for line in said), done.stdout
    assert f"stops done=0 failed=0 broken={threads} " in done.stdout


@pytest.mark.long
def test_one_thread_that_breaks_off_is_said_at_once_and_the_others_go_on(world: World, tmp_path: Path) -> None:
    for number in range(3):
        world.put(f"{number}.h5", files.GOOD["scalar.h5"])
    world.make_inventory()
    world.scan()
    with world.running(defective(tmp_path, 1), "--drain") as loader:
        out, deadline = "", time.monotonic() + 60
        assert loader.stdout is not None
        while "a worker broke off" not in out and time.monotonic() < deadline:
            out += loader.stdout.readline()
        assert loader.poll() is None, "it is said while the others work"
        out += loader.communicate(timeout=100)[0]
    assert loader.returncode == 1 and out.count("load ended") == 3, out
