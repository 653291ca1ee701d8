"""The direct engine as a loader has it: published whole, replaced in one step, and nothing is left behind."""

from __future__ import annotations

import pytest

from bucket_loader.storage import ids
from tests import files
from tests.world import World

pytestmark = pytest.mark.servers


@pytest.fixture(autouse=True)
def direct(world: World) -> None:
    world.settings |= {"load_engine": "direct", "tgt_bucket": "target"}


def keys(world: World) -> set[str]:
    pages = world.servers.s3.client().get_paginator("list_objects_v2").paginate(Bucket="target", Prefix="db/")
    return {entry["Key"] for page in pages for entry in page.get("Contents", [])}


def under(world: World, root: str) -> set[str]:
    return {key for key in keys(world) if key.startswith(ids.prefix(root))}


def root(world: World, key: str) -> str:
    identity = world.cluster.root_of(world.folder + key)
    assert identity
    return ids.digits_of(identity)


@pytest.mark.parametrize("link", [True, False], ids=["link", "ingest"])
def test_files_are_loaded_and_verified(world: World, link: bool) -> None:
    world.settings["link_files"] = link
    for name, body in files.GOOD.items():
        world.put(f"a/{name}", body)
    world.make_inventory()
    world.ok("watcher.py", "--once")
    world.ok("loader.py", "--drain")
    world.ok("differ.py", "--drain")
    rows = world.rows()
    assert {key: (row["state"], row["diffresult"]) for key, row in rows.items() if row["state"] != "verified"} == {}
    assert {row["loadengine"] for row in rows.values()} == {"direct"}
