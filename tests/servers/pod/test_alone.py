"""A file that kills its loader, and the files beside it: real loaders, whose hsload kills them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import files
from tests.world import World

pytestmark = pytest.mark.servers

# what kills waits until the others are in work, as far as they are ever; these take long enough to be met
TOOL = """#!/bin/sh
case "$*" in
*killer*) sleep 1.5; kill -9 $PPID; sleep 9;;
*) sleep 3;;
esac
exec hsload "$@"
"""


@pytest.mark.long
def test_a_file_that_kills_its_loader_is_given_up_and_its_neighbour_is_loaded(world: World, tmp_path: Path) -> None:
    """Two attempts, of which the first takes the neighbour along: with four workers in the drill."""
    tool = tmp_path / "deadly"
    tool.write_text(TOOL)
    tool.chmod(0o755)
    for key in ("killer.h5", "neighbour.h5"):
        world.put(key, files.GOOD["scalar.h5"])
    world.settings = {"hsload": tool, "workers": 2, "max_attempts": 2, "link_files": False}
    world.make_inventory()
    world.scan()
    deaths, log = 0, ""
    for _ in range(5):
        done = world.run("loader.py", "--drain")
        log += done.stdout
        if done.returncode == 0:
            break
        assert done.returncode == -9, log + done.stderr
        deaths += 1
    rows = world.rows()
    assert rows["neighbour.h5"]["state"] == "loaded", log
    reason = "given up: its worker died in each of 2 attempts, with no other file in work (out of memory?)"
    assert (rows["killer.h5"]["state"], rows["killer.h5"]["loadreason"]) == ("load failed", reason)
    assert deaths == 3, log  # once beside the other, which does not count
    assert log.count("load is tried alone key=killer.h5") == 2
    assert "load is tried alone key=neighbour.h5" in log
