"""What is verified is read from storage as it was in the file: HSDS is killed after the check and asked again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import h5py
import h5pyd
import numpy as np
import pytest

from tests.world import PASSWORD, USER, World

pytestmark = pytest.mark.servers
NUMBERS = np.arange(100_000, dtype="i4")


def shuffled(file: h5py.File) -> None:
    file.create_dataset("data", data=NUMBERS, chunks=(10_000,), shuffle=True)


def shuffled_with_checksums(file: h5py.File) -> None:
    file.create_dataset("data", data=NUMBERS.astype("f8"), chunks=(10_000,), shuffle=True, fletcher32=True)


def shuffled_lzf(file: h5py.File) -> None:
    file.create_dataset("data", data=NUMBERS.astype("i2"), chunks=(10_000,), shuffle=True, compression="lzf")


def shuffled_bytes(file: h5py.File) -> None:
    file.create_dataset("data", data=NUMBERS.astype("u1"), chunks=(10_000,), shuffle=True)


def shuffled_and_small(file: h5py.File) -> None:
    """Copied although links are wanted."""
    file.create_dataset("data", data=NUMBERS[:400], chunks=(100,), shuffle=True)


def shuffled_gzip(file: h5py.File) -> None:
    file.create_dataset("data", data=NUMBERS, chunks=(10_000,), shuffle=True, compression="gzip")


def at_the_end(file: h5py.File) -> None:
    """HSDS cuts it by halving, and the last of its pieces reaches past the end of the file."""
    file["data"] = np.arange(1_299_709, dtype="f8")


def at_the_end_whole(file: h5py.File) -> None:
    file["data"] = np.arange(1 << 20, dtype="f8")


# by how they are copied, and whether they can be linked
FILES: dict[str, tuple[Callable[[h5py.File], None], str, bool]] = {
    "shuffled.h5": (shuffled, "unfilt", True),
    "shuffled_with_checksums.h5": (shuffled_with_checksums, "unfilt", False),
    "shuffled_lzf.h5": (shuffled_lzf, "unfilt", False),
    "shuffled_bytes.h5": (shuffled_bytes, "unfilt", True),
    "shuffled_and_small.h5": (shuffled_and_small, "unfilt", False),
    "shuffled_gzip.h5": (shuffled_gzip, "ingest", True),
    "at_the_end.h5": (at_the_end, "ingest", False),
    "at_the_end_whole.h5": (at_the_end_whole, "ingest", True),
}


def loaded(world: World, folder: Path, names: Iterable[str], **settings: object) -> dict[str, dict[str, Any]]:
    """The rows of these files, by name, after a load and a check with these settings."""
    for name in names:
        with h5py.File(folder / name, "w") as file:
            FILES[name][0](file)
        world.put(name, folder / name)
    world.settings = {"workers": 2} | settings
    world.make_inventory()
    world.scan()
    world.ok("loader.py", "--drain", timeout=280)
    world.ok("differ.py", "--drain", timeout=280)
    return world.rows()


def assert_lives_on(world: World, path: Path) -> None:
    """Assert that an HSDS gives what is in a file."""
    name, endpoint = world.folder + path.name, world.servers.pod.endpoint
    with (
        h5py.File(path) as source,
        h5pyd.File(name, "r", endpoint=endpoint, username=USER, password=PASSWORD, use_cache=False) as domain,
    ):
        expected = source["data"][...]
        for start in range(0, len(expected), 100_000):  # h5pyd gives zeros for what it could not read at once
            np.testing.assert_array_equal(domain["data"][start : start + 100_000], expected[start : start + 100_000])


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("link", [True, False], ids=["link", "ingest"])
def test_what_is_verified_is_read_from_storage(world: World, tmp_path: Path, link: bool) -> None:
    rows = loaded(world, tmp_path, FILES, link_files=link)
    # the data node that loaded them ends, and with it what it remembers
    world.servers.pod.dn.kill()
    world.servers.pod.restart()
    for name, (_, copied_as, linkable) in FILES.items():
        assert rows[name]["state"] == "verified", rows[name]
        assert_lives_on(world, tmp_path / name)
        assert rows[name]["loadmode"] == ("link" if link and linkable else copied_as), rows[name]


@pytest.mark.long
def test_what_is_to_be_linked_or_nothing_says_why_not(world: World, tmp_path: Path) -> None:
    words = {"shuffled_and_small.h5": "shuffle without gzip", "at_the_end.h5": "past the end of the file"}
    rows = loaded(world, tmp_path, words, link_fallback="fail")
    for name, said in words.items():
        assert rows[name]["state"] == "load failed" and said in rows[name]["loadreason"], rows[name]
