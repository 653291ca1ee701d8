"""`publish: after-check`: what was loaded is seen by readers when it has passed its check, and not before."""

from __future__ import annotations

import io
import time

import h5py
import h5pyd
import numpy as np
import pytest

from bucket_loader.inventory import roots
from bucket_loader.inventory.claims import Inventory
from bucket_loader.inventory.states import State
from bucket_loader.storage import ids
from tests.s3_proxy import kill_in_switch
from tests.waiting import until
from tests.world import PASSWORD, TARGET, USER, World

KEY = "a.h5"


@pytest.fixture
def inventory(world: World, monkeypatch: pytest.MonkeyPatch) -> Inventory:
    for name, value in world.servers.s3.env().items():
        monkeypatch.setenv(name, value)
    world.settings |= {"load_engine": "direct", "publish": "after-check", "tgt_bucket": TARGET, "link_files": False}
    return world.make_inventory()


def put(world: World, number: int) -> None:
    """A version of the file, which has this number in it."""
    body = io.BytesIO()
    with h5py.File(body, "w") as file:
        file.create_dataset("data", data=np.full(1000, number), chunks=(100,))
    world.put(KEY, body.getvalue())
    world.scan()


def number(world: World) -> int | None:
    """The version that a reader sees; None where there is none."""
    name = world.folder + KEY
    if not world.cluster.exists(name):
        return None
    login = {"endpoint": world.cluster.endpoint, "username": USER, "password": PASSWORD}
    with h5pyd.File(name, "r", use_cache=False, retries=0, **login) as file:
        (found,) = set(file["data"][...].tolist())
    return int(found)


def names(world: World) -> list[str]:
    """What HSDS has of domains in the folder, by the bucket."""
    found = world.target_keys(world.folder.lstrip("/"))
    return sorted(key.rsplit("/", 2)[-2] for key in found if key.count("/") > world.folder.count("/") - 1)


def keys_under(world: World, root: str) -> set[str]:
    return world.target_keys(ids.prefix(root))


def spoil(world: World, root: str) -> None:
    """Change a value of a root that nobody has published."""
    s3 = world.servers.s3.client()
    chunk = next(key for key in keys_under(world, root) if key.rsplit("/", 1)[-1][0].isdigit())
    body = bytearray(s3.get_object(Bucket=TARGET, Key=chunk)["Body"].read())
    body[0] ^= 1
    s3.put_object(Bucket=TARGET, Key=chunk, Body=bytes(body))


def clean(world: World, after: float) -> None:
    world.leftovers().delete(time.time() + after)


@pytest.mark.long
def test_it_is_seen_when_it_is_verified(world: World, inventory: Inventory) -> None:
    put(world, 1)
    world.ok("loader.py", "--drain")
    row = inventory.row(0)
    assert (row.state, row.cleanup) == (State.LOADED, roots.NEVER) and row.newroot
    assert number(world) is None
    clean(world, after=1e6)
    assert keys_under(world, row.newroot), "the watcher leaves it to the check"
    world.ok("differ.py", "--drain")
    checked = inventory.row(0)
    assert (checked.state, checked.newroot, checked.cleanup, checked.oldroots) == (State.VERIFIED, "", 0, "")
    assert number(world) == 1
    assert names(world) == [KEY], "the name for the check is gone"
    world.ok("reset_inventory.py", "--checks", "--yes")
    world.ok("differ.py", "--drain")
    assert inventory.row(0).state is State.VERIFIED


@pytest.mark.long
def test_a_new_version_takes_the_place_of_the_old_one_when_it_is_verified(world: World, inventory: Inventory) -> None:
    for version in (1, 2):
        put(world, version)
        world.ok("loader.py", "--drain")
        assert number(world) == (version - 1 or None)
        old = world.cluster.root_of(world.folder + KEY)
        world.ok("differ.py", "--drain")
        assert number(world) == version
    row = inventory.row(0)
    (replaced,) = roots.parse(row.oldroots)
    assert old and (replaced.root, row.newroot, row.cleanup) == (ids.digits_of(old), "", replaced.due)
    clean(world, after=1e6)
    assert not keys_under(world, replaced.root) and number(world) == 2


@pytest.mark.long
def test_what_fails_its_check_is_not_published(world: World, inventory: Inventory) -> None:
    put(world, 1)
    world.ok("loader.py", "--drain")
    world.ok("differ.py", "--drain")
    put(world, 2)
    world.ok("loader.py", "--drain")
    failed = inventory.row(0).newroot
    spoil(world, failed)
    world.ok("differ.py", "--drain")
    row = inventory.row(0)
    assert row.state is State.CHECK_FAILED
    assert row.diffresult.startswith("not published, the version before it stays: ") and "/data" in row.diffresult
    assert number(world) == 1 and names(world) == [KEY]
    clean(world, after=1e6)
    assert keys_under(world, failed) and inventory.row(0).newroot == failed
    world.ok("reset_inventory.py", "--failed", "--yes")
    world.ok("differ.py", "--drain")
    assert inventory.row(0).state is State.CHECK_FAILED, "it is the same that is checked again"
    world.ok("reset_inventory.py", f"--key={KEY}", "--yes")
    world.ok("loader.py", "--drain")
    world.ok("differ.py", "--drain")
    assert inventory.row(0).state is State.VERIFIED and number(world) == 2
    assert failed in {one.root for one in roots.parse(inventory.row(0).oldroots)}
    clean(world, after=1e6)
    assert not keys_under(world, failed) and number(world) == 2


@pytest.mark.long
def test_a_differ_that_dies_leaves_no_second_name(world: World, inventory: Inventory) -> None:
    put(world, 1)
    world.ok("loader.py", "--drain")
    unchecked = f"unchecked-{inventory.row(0).newroot}.h5"
    with world.running("differ.py", env={"LEASE_TIME": "3"}) as differ:
        until(lambda: unchecked in names(world), pause=0.02)
        differ.kill()
    assert number(world) is None
    time.sleep(3)
    world.ok("differ.py", "--drain")
    assert inventory.row(0).state is State.VERIFIED
    assert number(world) == 1 and names(world) == [KEY]


@pytest.mark.long
@pytest.mark.parametrize("there", [True, False], ids=["verified", "failed"])
def test_the_old_version_comes_back_when_a_differ_dies_in_the_middle_of_a_switch(
    world: World, inventory: Inventory, there: bool
) -> None:
    for version in (1, 2):
        put(world, version)
        world.ok("loader.py", "--drain")
        if version == 1:
            world.ok("differ.py", "--drain")
    new, world.settings["lease_time"] = inventory.row(0).newroot, 3
    kill_in_switch(world, "differ.py", KEY, "--drain")
    assert number(world) is None
    if not there:
        world.delete(KEY)
    time.sleep(4)
    world.ok("differ.py", "--drain")
    row = inventory.row(0)
    if there:
        assert row.state is State.VERIFIED and number(world) == 2
    else:
        assert row.state is State.CHECK_FAILED and number(world) == 1
        assert row.diffresult.startswith("not published, the version before it stays: ")
    clean(world, after=1e6)
    assert number(world) == (2 if there else 1) and names(world) == [KEY]
    assert keys_under(world, new), "it is kept, to be checked again"


@pytest.mark.long
def test_one_that_was_published_before_its_differ_died(world: World, inventory: Inventory) -> None:
    put(world, 1)
    world.ok("loader.py", "--drain")
    row = inventory.row(0)
    world.ok("differ.py", "--drain")
    put_back = {"newroot": row.newroot, "cleanup": roots.NEVER}
    assert inventory.forget_roots(inventory.row(0), put_back), "as it is when the finish was not written"
    world.ok("reset_inventory.py", "--checks", "--yes")
    world.ok("differ.py", "--drain")
    checked = inventory.row(0)
    assert (checked.state, checked.newroot, checked.cleanup) == (State.VERIFIED, "", 0)
    assert number(world) == 1


@pytest.mark.long
def test_a_root_that_was_given_up_is_not_taken_for_one_that_waits(world: World, inventory: Inventory) -> None:
    put(world, 1)
    world.ok("loader.py", "--drain")
    given_up = inventory.row(0).newroot
    world.ok("reset_inventory.py", f"--key={KEY}", "--yes")
    put(world, 2)
    world.settings |= {"load_engine": "hsload", "publish": "after-load"}
    world.ok("loader.py", "--drain")
    assert inventory.row(0).newroot == given_up
    world.ok("differ.py", "--drain")
    assert inventory.row(0).state is State.VERIFIED and number(world) == 2
    clean(world, after=1e6)
    assert not keys_under(world, given_up) and inventory.row(0).newroot == ""
    assert number(world) == 2 and names(world) == [KEY]


def test_hsload_publishes_at_once_and_is_refused(world: World) -> None:
    for engine in ("auto", "hsload"):
        done = world.run("loader.py", "--publish=after-check", f"--load_engine={engine}", "--tgt_bucket=target")
        assert done.returncode == 2 and "publish: 'after-check'" in done.stderr
        assert "needs load_engine: direct" in done.stderr
