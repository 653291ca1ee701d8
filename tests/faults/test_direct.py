"""The direct engine under fire: killed at any moment, and replaced under the eyes of its readers."""

from __future__ import annotations

import io
import os
import random
import signal
import threading
import time
from dataclasses import dataclass, field

import h5py
import h5pyd
import numpy as np
import pytest

from bucket_loader.inventory import roots
from bucket_loader.inventory.states import State
from bucket_loader.storage import ids
from tests.waiting import until
from tests.world import PASSWORD, USER, World

pytestmark = pytest.mark.faults
FILES, SWITCHES, READERS = 200, 20, 2


@pytest.fixture(autouse=True)
def direct(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in world.servers.s3.env().items():
        monkeypatch.setenv(name, value)
    world.settings |= {"load_engine": "direct", "tgt_bucket": "target", "lease_time": 5}


def body(number: int, objects: int = 5) -> bytes:
    """A file all of whose datasets and attributes say the same number."""
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        for name in range(objects):
            data = np.full((60, 50), number, "i4")
            file.create_dataset(f"data{name}", data=data, chunks=(20, 50), compression="gzip")
            file[f"data{name}"].attrs["number"] = number
        file.attrs["number"] = number
    return stream.getvalue()


@pytest.mark.timeout(900)
def test_every_key_belongs_to_a_domain_whenever_loaders_were_killed(world: World) -> None:
    before = world.target_keys()
    for number in range(FILES):
        world.put(f"{number:03d}.h5", body(number, objects=20))
    inventory = world.make_inventory()
    world.ok("watcher.py", "--once")
    chance, kills = random.Random(17), 0
    world.settings |= {"max_attempts": 100, "workers": 2, "link_files": False}
    while inventory.counts()[State.LOADED] < FILES:
        with world.running("loader.py", "--drain") as loader:
            # it takes two seconds to begin, and more on a slow machine
            patience = time.monotonic() + 2 + kills / 20 + chance.random() * 3
            while loader.poll() is None and time.monotonic() < patience:
                time.sleep(0.05)
            if loader.poll() is None:
                os.kill(loader.pid, signal.SIGKILL)
                kills += 1
        assert kills < FILES, "no progress"
    named = [one.root for row in inventory.rows() for one in roots.parse(row.oldroots)]
    live = {row.filename: world.cluster.root_of(world.folder + row.filename) for row in inventory.rows()}
    assert kills > 3 and named, f"{kills} kills, and no load was caught"
    deleted = world.leftovers().delete(now=time.time() + 10_000)
    assert deleted.roots == len(named)
    mine = {key for key in world.target_keys() - before if not inventory_key(world, key)}
    prefixes = tuple(ids.prefix(ids.digits_of(root)) for root in live.values() if root)
    assert len(prefixes) == FILES
    assert [key for key in mine if not key.startswith(prefixes)] == []
    print(f"{kills} kills, {len(named)} roots left behind and deleted, {deleted.keys} keys")


@pytest.mark.timeout(900)
def test_what_waits_for_its_check_is_published_whole_whoever_is_killed(world: World) -> None:
    """Two versions of each file, while loaders and differs are killed at any moment.

    (One that dies in the middle of a switch: `servers/check/test_unchecked.py`.)
    """
    before, count = world.target_keys(), 8
    inventory = world.make_inventory()
    chance, kills = random.Random(5), 0
    world.settings |= {"publish": "after-check", "max_attempts": 100, "workers": 2, "link_files": False}
    for version in (1, 2):
        for number in range(count):
            world.put(f"{number:03d}.h5", body(version))
        world.ok("watcher.py", "--once")
        while inventory.counts()[State.VERIFIED] < count:
            with world.running("loader.py", "--drain") as loader, world.running("differ.py", "--drain") as differ:
                # longer and longer: on a slow machine they take many seconds to begin
                patience = time.monotonic() + 4 + kills / 4 + chance.random() * 8
                while (loader.poll() is None or differ.poll() is None) and time.monotonic() < patience:
                    time.sleep(0.05)
                for process in (loader, differ):
                    if process.poll() is None:
                        os.kill(process.pid, signal.SIGKILL)
                        kills += 1
            assert kills < 200, "no progress"
            for row in inventory.rows():
                # nothing, where its worker was killed between the two steps of a switch, until the row is taken over
                nothing = {None} if version == 1 or row.state is State.CHECKING else set()
                assert number_of(world, row.filename) in {version - 1, version} | nothing, row
    world.leftovers().delete(now=time.time() + 10_000)
    live = [world.cluster.root_of(world.folder + row.filename) for row in inventory.rows()]
    prefixes = tuple(ids.prefix(ids.digits_of(root)) for root in live if root)
    mine = {key for key in world.target_keys() - before if not inventory_key(world, key)}
    assert len(prefixes) == count and [key for key in mine if not key.startswith(prefixes)] == []
    names = world.servers.s3.client().list_objects_v2(Bucket="target", Prefix=world.folder.lstrip("/"))["Contents"]
    assert not [entry["Key"] for entry in names if "unchecked" in entry["Key"]]
    print(f"{kills} kills")


def number_of(world: World, key: str) -> int | None:
    """The number that a reader finds; None where there is no domain."""
    if not world.cluster.exists(world.folder + key):
        return None
    about = {"endpoint": world.servers.cluster.endpoint, "username": USER, "password": PASSWORD, "use_cache": False}
    with h5pyd.File(world.folder + key, "r", **about) as domain:
        return int(domain.attrs["number"])


def inventory_key(world: World, key: str) -> bool:
    root = world.cluster.root_of(world.inventory_domain)
    return bool(root) and key.startswith(ids.prefix(ids.digits_of(str(root))))


@dataclass
class Seen:
    """What a reader saw."""

    good: int = 0
    mixes: list[set[int]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    numbers: set[int] = field(default_factory=set)


def read_on(world: World, seen: Seen, over: threading.Event) -> None:
    """Open a domain and read all of it, again and again."""
    about = {"endpoint": world.servers.cluster.endpoint, "username": USER, "password": PASSWORD, "use_cache": False}
    while not over.is_set():
        try:
            with h5pyd.File(f"{world.folder}a.h5", "r", **about) as domain:
                found = {int(domain.attrs["number"])}
                for name in domain:
                    found |= set(np.unique(domain[name][...]).tolist()) | {int(domain[name].attrs["number"])}
        except (OSError, KeyError) as error:
            seen.errors.append(f"{type(error).__name__}: {error}")
            continue
        seen.numbers |= found
        if len(found) == 1:
            seen.good += 1
        else:
            seen.mixes.append(found)


@pytest.mark.timeout(600)
def test_readers_see_the_old_version_or_the_new_one_and_never_a_mix(world: World) -> None:
    world.put("a.h5", body(0))
    world.make_inventory()
    world.ok("watcher.py", "--once")
    world.settings["link_files"] = False
    world.ok("loader.py", "--drain")
    over, all_seen = threading.Event(), [Seen() for _ in range(READERS)]
    readers = [threading.Thread(target=read_on, args=(world, seen, over)) for seen in all_seen]
    with world.running("watcher.py"), world.running("loader.py", "--replaced_grace=5"):
        for reader in readers:
            reader.start()
        try:
            for number in range(1, SWITCHES + 1):
                old = world.cluster.root_of(f"{world.folder}a.h5")
                world.put("a.h5", body(number))
                until(
                    lambda old=old: world.cluster.root_of(f"{world.folder}a.h5") not in (old, None),
                    said=lambda number=number: f"version {number} was never seen",
                    pause=0.1,
                )
                time.sleep(0.5)
        finally:
            over.set()
            for reader in readers:
                reader.join()
    good, errors = sum(seen.good for seen in all_seen), [error for seen in all_seen for error in seen.errors]
    print(f"{good} good reads, {len(errors)} errors in {SWITCHES} switches: {sorted(set(errors))}")
    assert [mix for seen in all_seen for mix in seen.mixes] == []
    assert len(set.union(*(seen.numbers for seen in all_seen))) > SWITCHES / 2
    assert len(errors) <= 2 * READERS * SWITCHES and good > len(errors)
