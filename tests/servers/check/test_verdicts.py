"""What a file's names and values say is never taken for what a server says."""

from __future__ import annotations

import io
from collections.abc import Callable

import h5py
import h5pyd
import numpy as np
import pytest

from tests.world import PASSWORD, USER, World

pytestmark = pytest.mark.servers

TIMEOUT, BUSY = "detector/timeout", "503 Service Unavailable"


def odd(fill: Callable[[h5py.File], None] = lambda _: None) -> bytes:
    """A file whose names and values read like the errors of a server."""
    body = io.BytesIO()
    with h5py.File(body, "w") as file:
        file.create_dataset(TIMEOUT, data=np.arange(1000), chunks=(100,))
        file[BUSY] = 1
        file[f"Connection refused/{BUSY}"] = np.arange(1000)
        file["errno 503"] = h5py.SoftLink("/Internal Server Error")
        file.attrs["status"] = "errno 503"
        file.attrs[BUSY] = 1
        fill(file)
    return body.getvalue()


CHANGES: dict[str, Callable[[h5pyd.File], None]] = {
    "all.h5": lambda domain: domain[TIMEOUT].__setitem__(slice(None), -1),
    "index.h5": lambda domain: domain[TIMEOUT].__setitem__(503, 7),
    "scalar.h5": lambda domain: domain[BUSY].__setitem__((), 2),
    "value.h5": lambda domain: domain.attrs.__setitem__("status", "errno 504"),
    "attribute.h5": lambda domain: domain.attrs.__setitem__(BUSY, 2),
    "link.h5": lambda domain: domain.__delitem__("errno 503"),
}


@pytest.mark.long
def test_a_difference_fails_a_check_at_once_wherever_it_is(world: World) -> None:
    world.settings = {"link_files": False}
    for key in CHANGES:
        world.put(key, odd())
    world.make_inventory()
    world.scan()
    world.ok("loader.py", "--drain")
    for key, change in CHANGES.items():
        endpoint = world.servers.pod.endpoint
        with h5pyd.File(world.folder + key, "r+", endpoint=endpoint, username=USER, password=PASSWORD) as domain:
            change(domain)
    for method in ("both", "hsdiff", "verify"):
        world.ok("differ.py", "--drain", f"--diff_method={method}")
        ended = {key: (row["state"], row["diffattempts"]) for key, row in world.rows().items()}
        assert ended == dict.fromkeys(CHANGES, ("check failed", 1)), method
        world.ok("reset_inventory.py", "--checks", "--yes")


@pytest.mark.long
def test_a_file_that_cannot_be_loaded_fails_at_once_whatever_its_names(world: World) -> None:
    def fill(file: h5py.File) -> None:
        file.attrs[f"Connection refused/{BUSY}"] = 1

    world.put("a.h5", odd(fill))
    world.make_inventory()
    world.scan()
    world.ok("loader.py", "--drain")
    row = world.rows()["a.h5"]
    assert (row["state"], row["loadattempts"]) == ("load failed", 1)
    assert row["loadreason"].startswith(f"attribute Connection refused/{BUSY} of / has a name that hsload cannot write")
