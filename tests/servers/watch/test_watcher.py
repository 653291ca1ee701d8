"""The watcher against a real bucket and a real inventory."""

from __future__ import annotations

import logging

import h5pyd
import numpy as np
import pytest

from bucket_loader.domains import Domains
from bucket_loader.inventory.claims import Inventory
from bucket_loader.inventory.model import COLUMNS, Outcome, key_digest
from bucket_loader.inventory.states import LOAD, State
from bucket_loader.s3 import Source
from bucket_loader.watch.known_keys import COLUMNS as KNOWN_COLUMNS
from bucket_loader.watch.known_keys import KnownKeys, digests_of
from bucket_loader.watch.watcher import Watcher
from tests.world import PASSWORD, USER, World


@pytest.fixture
def inventory(world: World, monkeypatch: pytest.MonkeyPatch) -> Inventory:
    for name, value in world.servers.s3.env().items():
        monkeypatch.setenv(name, value)
    return world.make_inventory()


def watcher(world: World, **settings: object) -> Watcher:
    return Watcher(Source(world.config(**settings)), world.inventory(), Domains(world.folder, world.inventory_domain))


def states(inventory: Inventory) -> dict[str, State]:
    return {row.filename: row.state for row in inventory.rows()}


def test_new_keys_are_added_once(world: World, inventory: Inventory) -> None:
    world.put("a.h5", b"x")
    first = watcher(world)
    assert first.scan().added == 1
    world.put("b.h5", b"xy")
    done = first.scan()
    assert (done.listed, done.added, done.news) == (2, 1, 1)
    assert first.scan().news == 0
    assert watcher(world).scan().news == 0, "one that starts anew knows what is in the table"
    rows = {row.filename: row for row in inventory.rows()}
    assert (rows["b.h5"].state, rows["b.h5"].size) == (State.NEW, 2)


def test_two_watchers_know_what_the_other_one_added(world: World, inventory: Inventory) -> None:
    one, two = watcher(world), watcher(world)
    one.scan()
    two.scan()
    world.put("a.h5", b"x")
    assert (one.scan().added, two.scan().added) == (1, 0)
    assert len(list(inventory.rows())) == 1


def test_a_new_version_of_an_idle_file_is_new(
    world: World, inventory: Inventory, caplog: pytest.LogCaptureFixture
) -> None:
    world.put("a.h5", b"x")
    watching = watcher(world)
    watching.scan()
    held = inventory.claim(LOAD, "pod", 60)
    assert held is not None
    inventory.finish(held, Outcome(State.LOADED))
    world.put("a.h5", b"newer")
    logger = logging.getLogger("bucket_loader")
    logger.propagate = True
    with caplog.at_level(logging.INFO, logger="bucket_loader"):
        assert watching.scan().changed == 1
    assert "source changed key=a.h5" in caplog.text
    row = inventory.row(0)
    assert (row.state, row.size, row.version) == (State.NEW, 5, 1)
    assert watching.scan().news == 0


def test_a_new_version_of_a_file_in_work_is_new_when_the_work_ends(world: World, inventory: Inventory) -> None:
    world.put("a.h5", b"x")
    watching = watcher(world)
    watching.scan()
    held = inventory.claim(LOAD, "pod", 60)
    assert held is not None
    world.put("a.h5", b"newer")
    assert watching.scan().changed == 1
    assert inventory.row(0).state is State.LOADING
    assert inventory.finish(held, Outcome(State.LOADED)) is State.NEW


def test_a_new_version_that_the_loader_saw_first_is_no_news(world: World, inventory: Inventory) -> None:
    world.put("a.h5", b"x")
    watching = watcher(world)
    watching.scan()
    world.put("a.h5", b"newer")
    held = inventory.claim(LOAD, "pod", 60)
    assert held is not None
    inventory.finish(held, Outcome(State.LOADED, source=Source(world.config()).head("a.h5")))
    assert watching.scan().changed == 0
    assert inventory.row(0).state is State.LOADED


def test_a_key_that_vanished_is_flagged_and_stays(world: World, inventory: Inventory) -> None:
    world.put("a.h5", b"x")
    world.put("b.h5", b"x")
    watching = watcher(world)
    watching.scan()
    world.delete("a.h5")
    assert watching.scan().vanished == 1
    assert watching.scan().news == 0
    assert watcher(world).scan().news == 0
    rows = {row.filename: row for row in inventory.rows()}
    assert rows["a.h5"].vanished > 0 and rows["b.h5"].vanished == 0
    world.put("a.h5", b"x")
    assert watching.scan().returned == 1
    assert inventory.row(rows["a.h5"].index).vanished == 0


def test_keys_outside_of_the_prefix_have_not_vanished(world: World, inventory: Inventory) -> None:
    world.put("a/x.h5", b"x")
    world.put("b/x.h5", b"x")
    watcher(world).scan()
    assert watcher(world, src_prefix="a/").scan().news == 0


def test_a_key_that_cannot_be_a_domain_is_recorded_as_failed(world: World, inventory: Inventory) -> None:
    world.put("ok.h5", b"x")
    world.put("a?versionId=7.h5", b"x")
    done = watcher(world).scan()
    assert (done.added, done.refused) == (1, 1)
    rows = {row.filename: row for row in inventory.rows()}
    row = rows["a?versionId=7.h5"]
    assert row.state is State.LOAD_FAILED and "versionId" in row.loadreason
    assert rows["ok.h5"].state is State.NEW


@pytest.mark.long
def test_a_thousand_keys_in_one_batch_and_odd_ones(world: World, inventory: Inventory) -> None:
    keys = [f"k{number:04}.h5" for number in range(1500)] + ["größe + 100%/it's #1.h5"]
    client = world.servers.s3.client()
    for key in keys:
        client.put_object(Bucket=world.bucket, Key=key, Body=b"")
    watching = watcher(world)
    assert watching.scan().added == len(keys)
    assert sorted(states(inventory)) == sorted(keys)
    assert watching.scan().news == 0


@pytest.mark.long
def test_a_million_keys_are_known_in_less_than_50_megabytes() -> None:
    known = KnownKeys()
    block = np.zeros(10_000, [(name, COLUMNS[name]) for name in KNOWN_COLUMNS])
    block["state"], block["rowid"] = State.NEW, np.arange(len(block))
    for start in range(0, 1_000_000, len(block)):
        keys = [f"key-{number}" for number in range(start, start + len(block))]
        block["keyhash"] = [key_digest(key).hex().encode() for key in keys]
        assert not len(known.extend(block))
    sizes = [value.nbytes for value in vars(known).values() if isinstance(value, np.ndarray)]
    assert sum(sizes) < 50e6 and len(known._recent) < 60_000
    some = [0, 7, 499_999, 999_999]
    assert known.find(digests_of(f"key-{number}" for number in some)).tolist() == some
    assert known.find(digests_of(["key-1000000"])).tolist() == [-1]


def test_rows_that_went_with_a_data_node_are_added_again(world: World, inventory: Inventory) -> None:
    for number in range(3):
        world.put(f"{number}.h5", b"x")
    watching = watcher(world)
    assert watching.scan().added == 3
    world.put("3.h5", b"x")
    world.put("4.h5", b"x")
    assert watching.scan().added == 2
    # what a crash of the data node leaves: the table is as long, the newest rows are zeros
    blank = np.zeros(1, inventory.dtype).tobytes()
    for index in (3, 4):
        params = {"select": f"[{index}:{index + 1}]"}
        world.cluster.request("PUT", inventory._value, world.inventory_domain, params=params, data=blank)
    assert watching.scan().added == 2
    assert sorted(states(inventory)) == [f"{number}.h5" for number in range(5)]
    assert watching.scan().news == 0


def test_a_table_that_a_crash_made_shorter_is_filled_again(world: World, inventory: Inventory) -> None:
    world.put("a.h5", b"x")
    watching = watcher(world)
    watching.scan()
    world.put("b.h5", b"x")
    watching.scan()
    with h5pyd.File(
        world.inventory_domain, "r+", endpoint=world.cluster.endpoint, username=USER, password=PASSWORD
    ) as file:
        file["inventory"].resize(1, axis=0)
    assert watching.scan().added == 1
    assert sorted(states(inventory)) == ["a.h5", "b.h5"]


def test_two_rows_of_a_key_become_one(world: World, inventory: Inventory) -> None:
    world.put("a.h5", b"x")
    one, two = watcher(world), watcher(world)
    found = Source(world.config()).head("a.h5")
    assert found is not None
    one.scan()
    inventory.append([found])  # as by another watcher at the same moment
    assert len(list(inventory.rows())) == 2
    assert (one.scan().duplicates, two.scan().duplicates) == (1, 0)
    assert [row.index for row in inventory.rows()] == [0]
    assert one.scan().news == two.scan().news == 0


def test_a_duplicate_in_work_is_dropped_when_the_work_ends(world: World, inventory: Inventory) -> None:
    world.put("a.h5", b"x")
    watching = watcher(world)
    watching.scan()
    first = inventory.claim(LOAD, "pod", 60)
    found = Source(world.config()).head("a.h5")
    assert first is not None and found is not None
    inventory.append([found])
    second = inventory.claim(LOAD, "pod", 60)
    assert second is not None
    assert watching.scan().duplicates == 0
    inventory.finish(second, Outcome(State.LOADED))
    assert watching.scan().duplicates == 1
    assert [row.index for row in inventory.rows()] == [0]


def test_rows_that_are_just_being_appended_are_not_added_twice(world: World, inventory: Inventory) -> None:
    world.put("a.h5", b"x")
    first, second = watcher(world), watcher(world)
    first.scan()
    with h5pyd.File(
        world.inventory_domain, "r+", endpoint=world.cluster.endpoint, username=USER, password=PASSWORD
    ) as file:
        file["inventory"].resize(3, axis=0)  # the first half of another watcher's append
    second.scan()
    world.put("b.h5", b"x")
    first.scan()
    assert sorted(states(inventory)) == ["a.h5", "b.h5"]
    assert second.scan().news == 0


def test_an_inventory_that_was_replaced_is_filled_from_nothing(world: World, inventory: Inventory) -> None:
    world.put("a.h5", b"x")
    watching = watcher(world)
    watching.scan()
    Inventory.create(world.cluster, world.inventory_domain, public=False, replace_old=True)
    assert watching.scan().added == 1
    assert sorted(states(world.inventory())) == ["a.h5"]
