"""What is verified can be read by what people read with: xarray with h5netcdf, and NREL's rex."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.world import PASSWORD, ROOT, USER, World

pytestmark = pytest.mark.servers
PYTHON = Path(sys.prefix) / "readers" / "bin" / "python"


def reader(*arguments: str, **env: str) -> str:
    done = subprocess.run(
        [PYTHON, ROOT / "tests" / "readers" / "read.py", *arguments], env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("readers")
    reader("make", str(folder))
    return folder


@pytest.mark.long
@pytest.mark.parametrize("link", [True, False], ids=["link", "ingest"])
def test_xarray_and_rex_read_a_domain_as_they_read_the_file(world: World, folder: Path, link: bool) -> None:
    names = {"climate.nc": ("xarray", 8), "wind.h5": ("rex", 4)}
    for name in names:
        world.put(name, folder / name)
    world.settings = {"link_files": link, "workers": 2}
    world.make_inventory()
    world.scan()
    world.ok("loader.py", "--drain")
    world.ok("differ.py", "--drain")
    login = {"HS_ENDPOINT": world.servers.cluster.endpoint, "HS_USERNAME": USER, "HS_PASSWORD": PASSWORD}
    rows = world.rows()
    for name, (program, variables) in names.items():
        assert rows[name]["state"] == "verified", rows[name]
        assert int(reader(program, str(folder / name), world.folder + name, **login)) == variables


@pytest.mark.long
def test_small_and_large_chunks_are_read_by_every_version(world: World, tmp_path: Path) -> None:
    """HSDS 0.9 stores other chunks than it is asked for, and 1.0 looks for those that were asked for."""
    with h5py.File(tmp_path / "chunks.h5", "w") as file:
        numbers = np.arange(2_000_000)
        file.create_dataset("small", data=numbers[:40_000].reshape(200, 200), chunks=(20, 50), compression="gzip")
        file.create_dataset("growing", data=numbers[:600].reshape(6, 100), chunks=(4, 10), maxshape=(None, 100))
        file.create_dataset("large", data=numbers, chunks=(1_500_000,))
        file.create_dataset("words", data=np.array(["ü", "b"] * 300, object), chunks=(10,), dtype=h5py.string_dtype())
        file.create_group("{braces}").attrs["{an}d"] = "and {more}"
        file["link"] = h5py.ExternalLink("other.h5", "/a")
    world.put("chunks.h5", tmp_path / "chunks.h5")
    world.settings = {"link_files": False}
    world.make_inventory()
    world.scan()
    world.ok("loader.py", "--drain")
    world.ok("differ.py", "--drain")
    (row,) = world.rows().values()
    assert row["state"] == "verified", row
