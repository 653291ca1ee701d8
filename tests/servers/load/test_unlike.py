"""Types that hsload writes otherwise, and virtual data that lies in another file: known before a load."""

from __future__ import annotations

import io
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.unit.load.test_unlike import ROWS, through_a_link
from tests.world import World


@pytest.mark.servers
def test_data_elsewhere_and_turned_numbers_are_not_verified(world: World, tmp_path: Path) -> None:
    for name, fill in (("a.h5", through_a_link), ("z.h5", lambda file: file.__setitem__("z", np.ones(5, ">c16")))):
        with h5py.File(tmp_path / name, "w") as file:
            fill(file)
        world.put(name, tmp_path / name)
    world.make_inventory()
    world.scan()
    world.ok("loader.py", "--drain")
    rows = world.rows()
    assert rows["a.h5"]["state"] == rows["z.h5"]["state"] == "load failed", rows
    assert "in another file" in rows["a.h5"]["loadreason"] and "big-endian" in rows["z.h5"]["loadreason"]


def records(count: int) -> bytes:
    body = io.BytesIO()
    with h5py.File(body, "w") as file:
        values = np.zeros(count, [("number", "i4"), ("wave", "<c16")])
        values["wave"] = np.arange(count) + 2j
        file.create_dataset("records", data=values, chunks=(count,))
        file.create_dataset("alone", data=values["wave"], chunks=(count,))
    return body.getvalue()


@pytest.mark.long
@pytest.mark.servers
def test_complex_numbers_in_records_are_linked_or_refused_and_never_copied(world: World) -> None:
    """hsload copies them with their real part twice: source 2.0, domain 1.0."""
    world.put("small.h5", records(20))  # copied although links are wanted
    world.put("large.h5", records(ROWS))
    world.make_inventory()
    world.scan()
    world.ok("loader.py", "--drain")
    world.ok("differ.py", "--drain")
    rows = world.rows()
    assert (rows["large.h5"]["state"], rows["large.h5"]["loadmode"]) == ("verified", "link"), rows["large.h5"]
    reason = "dataset /records has complex numbers inside of compounds, which hsload writes with other values"
    assert (rows["small.h5"]["state"], rows["small.h5"]["loadreason"]) == ("load failed", reason)
    world.ok("reset_inventory.py", "--key", "large.h5", "--yes")
    world.ok("loader.py", "--drain", "--link_files=false")
    assert world.rows()["large.h5"]["loadreason"] == reason
