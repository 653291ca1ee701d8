"""The direct engine as a loader has it: published whole, replaced in one step, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import h5py
import h5pyd
import numpy as np
import pytest

from bucket_loader.hsds import RIGHTS
from bucket_loader.inventory import roots
from bucket_loader.inventory.claims import Inventory
from bucket_loader.inventory.model import Doing
from bucket_loader.inventory.states import State
from bucket_loader.s3 import Source
from bucket_loader.storage import ids
from bucket_loader.storage.target import Target
from tests import files
from tests.s3_proxy import kill_in_switch, s3_proxy
from tests.waiting import until
from tests.world import PASSWORD, USER, World

pytestmark = pytest.mark.servers


@pytest.fixture(autouse=True)
def direct(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in world.servers.s3.env().items():
        monkeypatch.setenv(name, value)
    world.settings |= {"load_engine": "direct", "tgt_bucket": "target"}


def roots_of(names: set[str]) -> set[str]:
    return {name.split("/")[1] for name in names}


def under(world: World, root: str) -> set[str]:
    return world.target_keys(ids.prefix(root))


def root(world: World, key: str) -> str:
    identity = world.cluster.root_of(world.folder + key)
    assert identity
    return ids.digits_of(identity)


def loaded_and_changed(world: World) -> tuple[Inventory, str]:
    """a.h5 is loaded, and another file is in its place that the watcher has seen; the root of the first."""
    world.put("a.h5", files.GOOD["chunked.h5"])
    inventory = world.make_inventory()
    world.scan()
    world.ok("loader.py", "--drain")
    old = root(world, "a.h5")
    world.put("a.h5", files.GOOD["compressed.h5"])
    world.scan()
    return inventory, old


def only_rights(acl: dict[str, object]) -> dict[str, object]:
    return {name: acl[name] for name in RIGHTS}


@pytest.mark.parametrize("link", [True, pytest.param(False, marks=pytest.mark.long)], ids=["link", "ingest"])
def test_files_are_loaded_and_verified(world: World, link: bool) -> None:
    world.settings["link_files"] = link
    for name, body in files.GOOD.items():
        world.put(f"a/{name}", body)
    world.make_inventory()
    world.scan()
    world.ok("loader.py", "--drain")
    world.ok("differ.py", "--drain")
    rows = world.rows()
    assert {key: (row["state"], row["diffresult"]) for key, row in rows.items() if row["state"] != "verified"} == {}
    assert {row["loadengine"] for row in rows.values()} == {"direct"}
    named = [(row.newroot, row.cleanup) for row in map(world.inventory().row, range(len(rows)))]
    assert named == [("", 0)] * len(rows), "the watcher has to look at none of them again"


@pytest.mark.long
def test_an_ingest_reads_each_byte_once(world: World, tmp_path: Path) -> None:
    """The index of each dataset lies before its chunks: to read it must not read them, which come by themselves."""
    path = tmp_path / "large.h5"
    noise = np.random.default_rng(0).random((8, 1 << 16))
    with h5py.File(path, "w") as file:
        for number in range(16):
            file.create_dataset(f"group/{number}", data=noise, chunks=(1, 1 << 16))
    world.put("large.h5", path)
    world.make_inventory()
    world.scan()
    with s3_proxy(world) as (store, gateway):
        world.ok("loader.py", "--once", f"--aws_s3_gateway={gateway}", "--link_files=false")
        assert store.sent < 1.2 * path.stat().st_size, f"{store.sent} of {path.stat().st_size} bytes"
    assert world.rows()["large.h5"]["loadmode"] == "ingest"


@pytest.mark.long
def test_a_long_load_says_how_far_it_is(world: World, tmp_path: Path) -> None:
    path = tmp_path / "long.h5"
    with h5py.File(path, "w") as file:
        for number in range(300):
            file.create_dataset(f"{number}", data=np.arange(1000))
    world.put("long.h5", path)
    inventory = world.make_inventory()
    world.scan()
    seen, shown = set[str](), ""
    with s3_proxy(world) as (store, gateway):
        store.delay = staticmethod(lambda method, path: 0.15 if method == "PUT" else 0.0)
        env = {"LEASE_TIME": "12", "S3_CONCURRENCY": "4", "AWS_S3_GATEWAY": gateway, "LOG_LEVEL": "DEBUG"}
        with world.running("loader.py", "--once", "--link_files=false", env=env) as loader:
            deadline = time.monotonic() + 100
            while loader.poll() is None:
                assert time.monotonic() < deadline
                row = inventory.row(0)
                if row.state is State.LOADING and "/" in row.doing:
                    seen.add(row.doing)
                    shown = shown or world.ok("dump_inventory.py")
                time.sleep(0.2)
            said = loader.communicate(timeout=30)[0]
    far = [Doing.from_column(text) for text in seen]
    assert len(far) > 2 and {(one.step, one.of) for one in far} == {("write", 301)}
    assert max(one.objects for one in far) > min(one.objects for one in far)
    assert " of 301 objects, " in shown and "in work at pod-1: write " in shown, shown
    assert " DEBUG in work " in said and "/301 " in said
    row = inventory.row(0)
    assert (row.state, row.doing) == (State.LOADED, "")


@pytest.mark.long
def test_a_new_version_replaces_the_old_one_whose_objects_stay_for_a_while(world: World) -> None:
    inventory, old = loaded_and_changed(world)
    world.ok("loader.py", "--drain", "--replaced_grace=1h")
    new = root(world, "a.h5")
    assert new != old and under(world, old) and under(world, new)
    row = inventory.row(0)
    (replaced,) = roots.parse(row.oldroots)
    assert (replaced.root, replaced.due, row.newroot) == (old, row.cleanup, "")
    assert row.oldbytes == sum(
        world.servers.s3.client().head_object(Bucket="target", Key=key)["ContentLength"]
        for key in under(world, old)
        if not key.endswith(".info.json")
    )
    summary = world.ok("dump_inventory.py", "--summary")
    assert "of replaced domains wait for their deletion (replaced_grace)" in summary
    world.scan()
    assert under(world, old), "its readers may have it"
    world.leftovers().delete(now=time.time() + 3700)
    assert not under(world, old) and under(world, new)
    row = inventory.row(0)
    assert (row.oldroots, row.oldbytes, row.cleanup) == ("", 0, 0)
    world.ok("differ.py", "--drain")
    assert world.rows()["a.h5"]["state"] == "verified"


@pytest.mark.long
def test_a_domain_of_hsload_is_replaced_too(world: World) -> None:
    world.put("a.h5", files.GOOD["chunked.h5"])
    world.make_inventory()
    world.scan()
    world.ok("loader.py", "--drain", "--load_engine=hsload")
    assert world.rows()["a.h5"]["loadengine"] == "hsload"
    old = root(world, "a.h5")
    world.put("a.h5", files.GOOD["compressed.h5"])
    world.scan()
    world.ok("loader.py", "--drain")
    assert root(world, "a.h5") != old and under(world, old)
    world.put("a.h5", files.GOOD["nan.h5"])
    world.scan()
    world.ok("loader.py", "--drain", "--load_engine=hsload")
    world.ok("differ.py", "--drain")
    assert world.rows()["a.h5"]["state"] == "verified"


@pytest.mark.long
def test_what_a_killed_loader_left_is_named_by_its_row_and_goes(world: World, tmp_path: Path) -> None:
    path = tmp_path / "many.h5"
    with h5py.File(path, "w") as file:
        for number in range(300):
            file[f"group/{number}"] = number
    world.put("a.h5", path)
    inventory = world.make_inventory()
    world.scan()
    # one slow request after the other: there is time to see what was begun, also on a busy machine
    with s3_proxy(world) as (store, gateway):
        store.delay = staticmethod(lambda method, path: 0.05 if method == "PUT" else 0.0)
        env = {"LEASE_TIME": "5", "S3_CONCURRENCY": "1", "AWS_S3_GATEWAY": gateway}
        with world.running("loader.py", env=env) as loader:
            written = until(
                lambda: (root := inventory.row(0).newroot) and under(world, root), pause=0.02, process=loader
            )
            os.kill(loader.pid, signal.SIGKILL)
    left = inventory.row(0).newroot
    assert written and world.cluster.root_of(f"{world.folder}a.h5") is None, "nobody sees a part"
    time.sleep(6)
    world.ok("loader.py", "--drain", "--lease_time=5")
    row = inventory.row(0)
    assert [one.root for one in roots.parse(row.oldroots)] == [left]
    world.leftovers().delete(now=time.time() + 1000)
    assert not under(world, left) and under(world, root(world, "a.h5"))
    world.ok("differ.py", "--drain", "--diff_method=verify", "--verify_through=pod")
    assert world.rows()["a.h5"]["state"] == "verified"


@pytest.mark.long
@pytest.mark.parametrize("deaths", [1, 2], ids=["tried again", "given up"])
def test_the_old_version_comes_back_when_a_loader_dies_in_the_middle_of_a_switch(world: World, deaths: int) -> None:
    """Also where the new one is never loaded: the source is no HDF5 file any more."""
    inventory, old = loaded_and_changed(world)
    world.settings |= {"lease_time": 3, "max_attempts": 1}
    for _ in range(deaths):
        kill_in_switch(world, "loader.py", "a.h5", "--drain")
        time.sleep(4)
    left = inventory.row(0).newroot
    world.leftovers().delete(now=time.time() + 1e6)
    assert under(world, left) and under(world, old), "its row is not over"
    world.put("a.h5", b"no HDF5")
    world.ok("loader.py", "--drain")
    row = inventory.row(0)
    assert row.state is State.LOAD_FAILED and row.loadreason.startswith("given up") is (deaths == 2)
    assert root(world, "a.h5") == old
    world.leftovers().delete(now=time.time() + 1e6)
    assert not under(world, left) and under(world, old)
    row = inventory.row(0)
    assert (row.state, row.newroot, row.oldroots, row.cleanup) == (State.LOAD_FAILED, "", "", 0)


def test_what_is_refused_leaves_nothing(world: World, tmp_path: Path) -> None:
    path = tmp_path / "odd.h5"
    with h5py.File(path, "w") as file:
        for number in range(50):
            file[f"data/{number}"] = np.arange(10)
        file["zzz"] = 1
        file["zzz"].attrs["to"] = file["data/1"].regionref[2:5]
    world.put("a.h5", path)
    inventory = world.make_inventory()
    world.scan()
    before = world.target_keys()
    world.ok("loader.py", "--drain")
    row = inventory.row(0)
    assert row.state is State.LOAD_FAILED and "attribute to of /zzz has region references" in row.loadreason
    # HSDS may have written a summary of the inventory meanwhile
    assert roots_of(world.target_keys()) <= roots_of(before) and not row.newroot


@pytest.mark.long
def test_auto_takes_hsload_where_direct_cannot_be(world: World) -> None:
    world.settings["load_engine"] = "auto"
    world.put("a.h5", files.GOOD["chunked.h5"])
    world.put("b.h5", files.GOOD["chunked.h5"])
    world.make_inventory()
    world.scan()
    world.ok("loader.py", "--once")
    world.ok("loader.py", "--once", "--tgt_bucket=null")
    assert sorted(row["loadengine"] for row in world.rows().values()) == ["direct", "hsload"]


@pytest.mark.long
def test_a_reason_that_both_engines_give_is_said_once(world: World) -> None:
    world.settings["load_engine"] = "auto"
    world.put("a.h5", b"no HDF5")
    world.make_inventory()
    world.scan()
    world.ok("loader.py", "--drain")
    row = world.rows()["a.h5"]
    assert row["state"] == "load failed" and row["loadreason"].endswith("(file signature not found)")


@pytest.mark.parametrize("engine", ["direct", "auto"])
def test_a_source_that_is_gone_is_refused_in_these_words(world: World, engine: str) -> None:
    world.settings["load_engine"] = engine
    world.put("a.h5", files.GOOD["chunked.h5"])
    inventory = world.make_inventory()
    world.scan()
    world.delete("a.h5")
    before = world.target_keys()
    world.ok("loader.py", "--drain")
    row = inventory.row(0)
    assert row.state is State.LOAD_FAILED and row.loadreason == "the source object is gone"
    assert roots_of(world.target_keys()) <= roots_of(before) and not row.newroot


@pytest.mark.long
def test_a_root_that_its_domain_shows_is_never_deleted(world: World) -> None:
    """A worker that had lost its row has published over the one that has it."""
    world.put("a.h5", files.GOOD["chunked.h5"])
    inventory = world.make_inventory()
    world.scan()
    world.ok("loader.py", "--drain")
    live = root(world, "a.h5")
    row = inventory.row(0)
    assert inventory.forget_roots(row, {"oldroots": roots.join([roots.Replaced(live, 1)]), "cleanup": 1})
    world.scan()
    assert under(world, live)
    row = inventory.row(0)
    assert (row.state, row.oldroots) == (State.NEW, "")
    world.ok("loader.py", "--drain")
    world.ok("differ.py", "--drain")
    assert world.rows()["a.h5"]["state"] == "verified"


@pytest.mark.long
def test_a_domain_has_the_rights_that_hsds_would_give(world: World) -> None:
    found = {}
    world.cluster.request(
        "PUT", "/acls/friend", world.folder.rstrip("/"), json_body={"read": True, "update": True, "delete": False}
    )
    for engine in ("direct", "hsload"):
        world.put(f"{engine}.h5", files.GOOD["chunked.h5"])
    world.make_inventory()
    world.scan()
    for public in (True, False):
        for engine in ("direct", "hsload"):
            world.ok("loader.py", "--once", f"--load_engine={engine}", f"--public_read={public}")
            done = next(key for key, row in world.rows().items() if row["state"] == "loaded" and key not in found)
            acls = world.cluster.json("GET", "/acls", world.folder + done)["acls"]
            found[done] = public, engine, {acl.pop("userName"): only_rights(acl) for acl in acls}
        if public:
            for engine in ("direct", "hsload"):
                world.put(f"{engine}-2.h5", files.GOOD["chunked.h5"])
            world.scan()
    for public in (True, False):
        ours, theirs = (
            next(acls for p, e, acls in found.values() if (p, e) == (public, one)) for one in ("direct", "hsload")
        )
        for user in {*ours, *theirs}:
            assert ours.get(user) == theirs.get(user), user
        assert ("default" in ours) is public and "friend" in ours


@pytest.mark.long
def test_where_nothing_can_be_put_direct_does_not_begin_and_auto_goes_by_hsload(world: World) -> None:
    world.put("a.h5", files.GOOD["chunked.h5"])
    world.make_inventory()
    world.scan()
    with s3_proxy(world) as (handler, gateway):
        world.settings["aws_s3_gateway"] = gateway
        handler.refused = staticmethod(lambda method, path: method == "POST" and "uploads" in path)
        refusal = f"bucket target at {gateway} refuses these credentials (AccessDenied)"
        failed = world.run("loader.py", "--once", "--ready_timeout=1")
        assert failed.returncode == 1 and f"load_engine is direct, and cannot be: {refusal}" in failed.stderr
        said = world.run("loader.py", "--drain", "--load_engine=auto")
        assert said.returncode == 0 and f"engine=hsload reason='{refusal}" in said.stdout
    assert world.rows()["a.h5"]["loadengine"] == "hsload"


def test_a_folder_is_not_replaced(world: World) -> None:
    world.put("a.h5", files.GOOD["chunked.h5"])
    world.make_inventory()
    world.scan()
    world.cluster.make_folders(f"{world.folder}a.h5/", below=world.folder)
    world.run("loader.py", "--drain")
    row = world.rows()["a.h5"]
    assert row["loadreason"] == f"there is a folder {world.folder}a.h5/ where the domain should be"
    assert row["state"] == "load failed" and world.cluster.exists(f"{world.folder}a.h5")
    assert world.cluster.root_of(f"{world.folder}a.h5") is None


def test_a_bucket_that_is_not_the_one_of_hsds_is_not_written_to(world: World) -> None:
    source, folder = Source(world.config()), world.folder.rstrip("/")
    assert Target(source, "target").refusal(folder) == ""
    assert f"bucket {world.bucket} does not hold HSDS's folder {folder}" in Target(source, world.bucket).refusal(folder)
    assert "there is no bucket nowhere at " in Target(source, "nowhere").refusal(folder)


def test_a_domain_can_be_changed_through_hsds(world: World) -> None:
    world.put("a.h5", files.GOOD["compressed.h5"])
    world.make_inventory()
    world.scan()
    world.ok("loader.py", "--drain", "--link_files=false")
    about = {"endpoint": world.servers.cluster.endpoint, "username": USER, "password": PASSWORD, "use_cache": False}
    with h5pyd.File(f"{world.folder}a.h5", "a", **about) as domain:
        domain["data"][3, 5:9] = -1
        domain["data"].attrs["changed"] = "yes"
        domain["new"] = np.arange(5)
        del domain["new"]
        domain.create_group("more")
    world.cluster.flush(f"{world.folder}a.h5")
    world.servers.cluster.dn.kill()
    world.servers.cluster.restart()
    expected = np.linspace(0, 1, 6000).reshape(60, 100)
    expected[3, 5:9] = -1
    with h5pyd.File(f"{world.folder}a.h5", "r", **about) as domain:
        np.testing.assert_array_equal(domain["data"][...], expected)
        assert domain["data"].attrs["changed"] == "yes" and list(domain["more"]) == []
