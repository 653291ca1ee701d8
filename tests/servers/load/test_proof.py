"""A load that left something out is not loaded, whatever hsload said."""

from __future__ import annotations

import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests import files
from tests.world import World

pytestmark = pytest.mark.servers

# hsload as it is, and then something gets lost
LOSING = """#!{python}
import subprocess, sys, h5pyd
status = subprocess.call([{hsload!r}, *sys.argv[1:]])
with h5pyd.File(sys.argv[-1], "r+") as domain:
    {loss}
sys.exit(status)
"""


def losing(folder: Path, loss: str) -> str:
    script = folder / "losing-hsload"
    hsload = str(Path(sys.executable).parent / "hsload")
    script.write_text(LOSING.format(python=sys.executable, hsload=hsload, loss=loss))
    script.chmod(0o755)
    return str(script)


@pytest.mark.long
@pytest.mark.parametrize(
    ("loss", "counted", "named"),
    [
        ('del domain["data"]', "0 of 1 datasets, 0 of 1 links", "/data: object: source dataset, domain missing"),
        ('del domain.attrs["title"]', "0 of 1 attributes", "/@title: attribute: source present, domain missing"),
    ],
)
def test_a_domain_with_less_than_its_file_is_not_loaded(
    world: World, tmp_path: Path, loss: str, counted: str, named: str
) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["data"], file.attrs["title"] = np.arange(9), "t"
    world.put("a.h5", tmp_path / "a.h5")
    world.settings = {"hsload": losing(tmp_path, loss), "max_attempts": 2, "link_files": False}
    world.make_inventory()
    world.scan()
    world.ok("loader.py", "--drain")
    row = world.rows()["a.h5"]
    assert (row["state"], row["loadattempts"]) == ("load failed", 2)
    assert row["loadreason"] == f"hsload left the domain with {counted}: {named}"
    assert world.pod.root_of(world.folder + "a.h5") is None


@pytest.mark.long
def test_what_hsload_spoils_and_hsds_can_hold_is_verified(world: World, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["group/data"] = np.arange(9)
        file["group"].attrs["target"] = file["group/data"].ref
        file["group"].attrs.create("colour", 7, dtype=h5py.enum_dtype({"RED": 0, "GREEN": 7}, "i2"))
        file["group/root"] = file["/"]
    world.put("a.h5", tmp_path / "a.h5")
    world.put("broken.h5", files.BROKEN["truncated.h5"])
    world.make_inventory()
    world.scan()
    world.ok("loader.py", "--drain")
    world.ok("differ.py", "--drain")
    rows = world.rows()
    assert rows["a.h5"]["state"] == "verified", rows["a.h5"]
    assert "Unable to synchronously open file" in rows["broken.h5"]["loadreason"]
