"""Which keys may become domains: none that would replace the inventory, or another key's domain."""

from __future__ import annotations

import unicodedata

import pytest

from bucket_loader.deploy.configmap import notes
from bucket_loader.domains import Domains
from bucket_loader.inventory.states import State
from tests import files
from tests.world import World

HERE = Domains("/home/a/", "/home/a/lists/inventory.h5")


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("a.h5", ""),
        ("it's 50%+#?.h5", ""),
        ("a//b.h5", "empty part"),
        ("/a.h5", "empty part"),
        ("a/../b.h5", "part . or .."),
        ("./b.h5", "part . or .."),
        ("a?versionId=1", "?versionId="),
        ("x" * 990, ""),
        ("x" * 1024, "1044 bytes in storage, S3 allows 1024"),
        ("ü" * 510, "1040 bytes"),
        ("lists/inventory.h5", "would replace the inventory /home/a/lists/inventory.h5"),
        ("lists", "above the inventory"),
        ("lists/inventory.h5/b.h5", "below the inventory"),
        ("lists/inventory.h5.h5", ""),
        ("lists/other.h5", ""),
        # HSDS keeps /home/a/a.h5 under this name, and takes a domain of this name for the same one
        ("a.h5/.domain.json", ".domain.json"),
        ("a.domain.json", ".domain.json"),
        (".domain.json", ".domain.json"),
        ("a.h5/.domain.json/b.h5", ".domain.json"),
        ("lists/inventory.h5/.domain.json", "below the inventory"),
    ],
)
def test_which_keys_can_be_domains(key: str, reason: str) -> None:
    told = HERE.refusal(key)
    assert reason in told if reason else not told
    assert HERE.of(key) == "/home/a/" + key


_MORE = [pytest.param(key, marks=pytest.mark.long) for key in ("inventory.h5/.domain.json", "lists/inventory.h5/a.h5")]


@pytest.mark.parametrize("key", ["inventory.h5", "lists", *_MORE])
def test_no_key_destroys_the_inventory(world: World, key: str) -> None:
    folder = world.folder + ("lists/" if key.startswith("lists") else "")
    world.cluster.make_folders(folder)
    world.inventory_domain = f"{folder}inventory.h5"
    world.put("good.h5", files.GOOD["chunked.h5"])
    world.ok("make_inventory.py")
    world.ok("watcher.py", "--once")
    # S3 allows what a file system does not: the rows are put in by hand
    world.put("odd.h5", files.GOOD["chunked.h5"])
    inventory = world.inventory()
    source = world.source_of("odd.h5")
    inventory.append([source.__class__(key, source.size, source.etag, source.modified)])
    table = inventory.table_id
    log = world.ok("loader.py", "--drain")
    assert world.inventory().table_id == table, "the inventory was replaced"
    rows = {row.filename: row for row in world.inventory().rows()}
    assert rows["good.h5"].state is State.LOADED
    assert rows[key].state is State.LOAD_FAILED and "inventory" in rows[key].loadreason, log


def test_no_key_destroys_the_inventory_in_a_store_that_takes_two_forms_of_a_letter_for_one(world: World) -> None:
    """Such a store is the demo's, whose names are those of a file system; HSDS hands on what it gets."""
    written, other = (unicodedata.normalize(form, "é.h5") for form in ("NFC", "NFD"))
    world.inventory_domain = world.folder + written
    world.make_inventory()
    table, storage = world.inventory().table_id, world.servers.s3.client()
    where = {"Bucket": "target", "Key": f"{world.inventory_domain[1:]}/.domain.json"}
    before = storage.get_object(**where)["Body"].read()
    world.put(other, files.GOOD["chunked.h5"])
    world.ok("watcher.py", "--once")
    world.ok("loader.py", "--drain")
    assert world.inventory().table_id == table
    assert storage.get_object(**where)["Body"].read() == before, "the inventory is replaced when HSDS reads it again"
    [row] = world.inventory().rows()
    assert row.state is State.LOAD_FAILED and "would replace the inventory" in row.loadreason


@pytest.mark.long
def test_a_domain_and_a_folder_of_one_name_are_said(world: World) -> None:
    """A bucket may hold a.h5 and a.h5/b.h5; of HSDS's domains, one of them needs a folder where the other is."""
    world.ok("make_inventory.py")
    world.put("a.h5/b.h5", files.GOOD["scalar.h5"])
    world.cluster.request("PUT", "/", f"{world.folder}a.h5")
    world.put("c.h5", files.GOOD["scalar.h5"])
    world.cluster.make_folders(f"{world.folder}c.h5/d/")
    root = world.cluster.root_of(f"{world.folder}a.h5")
    world.ok("watcher.py", "--once")
    world.ok("loader.py", "--drain")
    rows = world.rows()
    assert world.cluster.root_of(f"{world.folder}a.h5") == root
    assert {row["state"] for row in rows.values()} == {"load failed"}
    assert "a.h5/b.h5: [Errno 400] Parent domain must be a folder" in rows["a.h5/b.h5"]["loadreason"]
    assert "c.h5: [Errno 409] folder has sub-items" in rows["c.h5"]["loadreason"]


def test_an_inventory_below_the_target_folder_is_said(world: World) -> None:
    world.inventory_domain = f"{world.folder}inventory.h5"
    done = world.run("make_inventory.py")
    assert done.returncode == 0
    said = f"the inventory {world.inventory_domain} lies in tgt_folder {world.folder}"
    assert said in done.stdout
    assert said in "".join(world.ok("watcher.py", "--once").splitlines()[:2])
    assert said in notes(world.config())[0]
    done = world.run("make_inventory.py", f"--tgt_folder={world.inventory_domain}/")
    assert done.returncode == 2 and "tgt_folder" in done.stderr and "inventory" in done.stderr
