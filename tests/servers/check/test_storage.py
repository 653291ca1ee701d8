"""What is verified is read from storage as it was in the file: HSDS is killed after the check and asked again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

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


SHUFFLED = [shuffled, shuffled_with_checksums, shuffled_lzf, shuffled_bytes, shuffled_and_small]


def lives_on(world: World, path: Path) -> None:
    """Assert that the data node that loaded and checked a file gives the same after its end."""
    world.servers.pod.dn.kill()
    world.servers.pod.restart()
    name, endpoint = world.folder + path.name, world.servers.pod.endpoint
    with (
        h5py.File(path) as source,
        h5pyd.File(name, "r", endpoint=endpoint, username=USER, password=PASSWORD, use_cache=False) as domain,
    ):
        expected = source["data"][...]
        for start in range(0, len(expected), 100_000):  # h5pyd gives zeros for what it could not read at once
            np.testing.assert_array_equal(domain["data"][start : start + 100_000], expected[start : start + 100_000])


def loaded(world: World, path: Path, fill: Callable[[h5py.File], None], **settings: object) -> dict[str, object]:
    """The row of a file that was made, loaded and checked with these settings."""
    with h5py.File(path, "w") as file:
        fill(file)
    world.put(path.name, path)
    world.settings = dict(settings)
    world.ok("make_inventory.py")
    world.ok("watcher.py", "--once")
    world.ok("loader.py", "--drain")
    world.ok("differ.py", "--drain")
    return world.rows()[path.name]


@pytest.mark.parametrize("link", [True, False], ids=["link", "ingest"])
@pytest.mark.parametrize("fill", [*SHUFFLED, shuffled_gzip, at_the_end, at_the_end_whole])
def test_what_is_verified_is_read_from_storage(
    world: World, tmp_path: Path, fill: Callable[[h5py.File], None], link: bool
) -> None:
    row = loaded(world, tmp_path / "a.h5", fill, link_files=link)
    assert row["state"] == "verified", row
    lives_on(world, tmp_path / "a.h5")
    copied_as = "unfilt" if fill in SHUFFLED else "ingest"
    linkable = fill in (shuffled, shuffled_bytes, shuffled_gzip, at_the_end_whole)
    assert row["loadmode"] == ("link" if link and linkable else copied_as), row


@pytest.mark.parametrize(
    ("fill", "words"),
    [(shuffled_and_small, "shuffle without gzip"), (at_the_end, "past the end of the file")],
)
def test_what_is_to_be_linked_or_nothing_says_why_not(
    world: World, tmp_path: Path, fill: Callable[[h5py.File], None], words: str
) -> None:
    row = loaded(world, tmp_path / "a.h5", fill, link_fallback="fail")
    assert row["state"] == "load failed" and words in str(row["loadreason"]), row
