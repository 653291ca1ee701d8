"""Files whose values lie in other objects of the bucket, through a loader and a differ."""

from __future__ import annotations

from pathlib import Path

import h5py
import h5pyd
import numpy as np
import pytest

from tests.views import VIEWS
from tests.world import PASSWORD, USER, World

pytestmark = pytest.mark.servers
NAMES = ["chunk_each", "some_are_missing", "torn", "raw_files"]


def put(world: World, folder: Path, name: str, prefix: str = "in/") -> None:
    folder.mkdir(parents=True)
    with h5py.File(folder / "view.h5", "w") as file:
        VIEWS[name](file, folder)
    for path in filter(Path.is_file, folder.rglob("*")):
        world.put(f"{prefix}{name}/{path.relative_to(folder)}", path)


@pytest.mark.long
@pytest.mark.parametrize("link", [True, False], ids=["link", "ingest"])
def test_values_in_other_objects_are_loaded_and_verified(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, link: bool
) -> None:
    world.settings |= {"load_engine": "auto", "tgt_bucket": "target", "link_files": link}
    world.settings |= {"src_prefix": "in/", "src_suffix": "h5"}
    for name in NAMES:
        put(world, tmp_path / name, name)
    world.make_inventory()
    world.scan()
    world.ok("loader.py", "--drain")
    world.ok("differ.py", "--drain")
    rows = world.rows()
    failed = {key: row["loadreason"] or row["diffresult"] for key, row in rows.items() if row["state"] != "verified"}
    assert not failed and {row["loadengine"] for row in rows.values()} == {"direct"}
    for name in NAMES:
        monkeypatch.chdir(tmp_path / name)  # HDF5 looks for external storage there
        about = {"endpoint": world.servers.cluster.endpoint, "username": USER, "password": PASSWORD}
        domain = h5pyd.File(f"{world.folder}in/{name}/view.h5", "r", **about)
        with h5py.File("view.h5") as source, domain:
            for key, dataset in source.items():
                np.testing.assert_array_equal(domain[key][()], dataset[()], err_msg=f"{name}: {key}")


@pytest.mark.long
def test_another_object_that_is_not_there_is_named(world: World, tmp_path: Path) -> None:
    """By both engines, and the file can be loaded once it is there."""
    world.settings |= {"load_engine": "auto", "tgt_bucket": "target"}
    put(world, tmp_path / "chunk_each", "chunk_each")
    missing = "in/chunk_each/frames/3.h5"
    world.delete(missing)
    world.make_inventory()
    world.scan()
    world.ok("loader.py", "--drain")
    row = world.rows()["in/chunk_each/view.h5"]
    assert row["state"] == "load failed" and f"{missing} cannot be read" in row["loadreason"], row
    world.put(missing, tmp_path / "chunk_each/frames/3.h5")
    world.ok("reset_inventory.py", "--key", "in/chunk_each/view.h5", "--yes")
    world.ok("loader.py", "--drain")
    world.ok("differ.py", "--drain")
    assert world.rows()["in/chunk_each/view.h5"]["state"] == "verified"
