"""Small files that ask for everything: each is refused by name before its load, at the cost of a small file."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.unit.storage.test_oversize import bomb
from tests.world import World


@pytest.mark.long
@pytest.mark.servers
@pytest.mark.parametrize("link", [True, False], ids=["link", "ingest"])
def test_a_bomb_fails_its_row_and_hurts_no_server(world: World, tmp_path: Path, link: bool) -> None:
    world.put("bomb.h5", bomb(tmp_path / "bomb.h5"))
    world.make_inventory()
    world.scan()
    world.ok("loader.py", "--drain", f"--link_files={link}")
    row = world.rows()["bomb.h5"]
    assert (row["state"], row["loadattempts"]) == ("load failed", 1)
    assert "dataset /a/bomb has chunks of 3,221,225,472 bytes" in row["loadreason"]
    assert world.cluster.root_of(world.folder + "bomb.h5") is None


@pytest.mark.servers
def test_a_load_that_will_take_long_is_told_of_before(world: World, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "tiny.h5", "w") as file:
        file.create_dataset("data", data=np.arange(6000), chunks=(1,))
    (tmp_path / "hsload").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "hsload").chmod(0o755)
    world.put("tiny.h5", tmp_path / "tiny.h5")
    world.settings = {"hsload": str(tmp_path / "hsload"), "link_files": False}
    world.make_inventory()
    world.scan()
    done = world.run("loader.py", "--drain")
    assert "load will take long" in (said := done.stdout + done.stderr)
    assert "objects=2 attributes=0 chunks=6000 requests=6022" in said
