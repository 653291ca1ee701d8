"""Files of many objects, on a machine with too much to do: loaded and checked at the first attempt, each with one lease
after the other. The large one takes an hour and a half by hsload (make many)."""

from __future__ import annotations

import io
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import h5py
import pytest

from bucket_loader.hsds import USER_AGENT
from bucket_loader.inventory.states import CHECK, LOAD, State
from tests.proxy import LossyProxy, lossy
from tests.world import World

LEASE = 5


def many(objects: int) -> bytes:
    """Half of them in one group, the others in many groups and nested ones; one in ten has attributes."""
    body = io.BytesIO()
    with h5py.File(body, "w") as file:
        wide = file.create_group("wide")
        for number in range(objects // 2):
            wide.create_dataset(f"{number}", data=h5py.Empty("<i4"))
        place = file
        for number in range(objects // 10):
            # chains of ten groups
            place = (file if number % 10 == 0 else place).create_group(f"group {number}")
            for inner in range(3):
                place.create_dataset(f"{inner}", data=h5py.Empty("<f8"))
            place["value"] = number
            place.attrs["number"], place.attrs["text"] = number, "ü"
    return body.getvalue()


@contextmanager
def busy() -> Iterator[None]:
    """A process that takes all the CPU that it gets."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as burner:
        try:
            yield
        finally:
            burner.kill()


@pytest.mark.parametrize(
    "objects",
    [
        pytest.param(1_000, marks=[pytest.mark.faults, pytest.mark.timeout(1500)]),
        pytest.param(10_000, marks=[pytest.mark.corpus, pytest.mark.timeout(3 * 3600)]),
    ],
)
def test_a_file_of_many_objects_is_loaded_and_checked_at_the_first_attempt(world: World, objects: int) -> None:
    world.put("many.h5", many(objects))
    world.make_inventory()
    world.ok("watcher.py", "--once")
    servers = world.servers
    with ExitStack() as stack:
        stack.enter_context(busy())
        own, checker = (stack.enter_context(lossy(server.port)) for server in (servers.pod, servers.checker))
        # hsload makes a dozen requests for each object: they are as slow as the machine and the proxy are
        own.delay = lambda request: LEASE / 2 if USER_AGENT.encode() in request else 0.0
        # a comparison is made by a child: of its requests, those of values are one for each dataset
        checker.delay = lambda request: 0.0 if b"/value" in request.partition(b" HTTP")[0] else LEASE / 2
        for script, work, proxy in (("loader.py", LOAD, own), ("differ.py", CHECK, checker)):
            world.settings = {"lease_time": LEASE, "hsds_local": proxy.endpoint, "diff_method": "verify"}
            began = time.monotonic()
            with world.running(script, "--drain") as process:
                out = process.communicate(timeout=3 * 3600)[0]
            print(f"{script} of {objects} objects: {time.monotonic() - began:.0f} s, {len(proxy.heads)} requests")
            row = world.inventory().row(0)
            assert (row.state, getattr(row, work.column("attempts"))) == (work.done, 1), out
            assert "lease lost" not in out
    assert row.state is State.VERIFIED
    # 500 objects cost a few requests of each kind
    assert sum(asked(checker).values()) < 60 + 40 * objects / 500, asked(checker)
    assert sum(asked(own, USER_AGENT.encode()).values()) < 60 + 40 * objects / 500, asked(own)


def asked(proxy: LossyProxy, by: bytes = b"") -> Counter[str]:
    """The requests that were made, but for those of values, without ids."""
    heads = [head.partition(b" HTTP")[0].partition(b"?")[0].decode().split("/") for head in proxy.heads if by in head]
    return Counter("/".join(part for part in parts if part[1:2] != "-") for parts in heads if parts[-1] != "value")
