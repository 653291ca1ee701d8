"""Rows are kept in every phase of a load and of a check, also where one request takes several leases."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import h5py
import numpy as np
import pytest

from bucket_loader.hsds import USER_AGENT
from bucket_loader.inventory.states import CHECK, LOAD, State, Work
from tests.proxy import LossyProxy, lossy
from tests.s3_proxy import s3_proxy
from tests.world import World

pytestmark = pytest.mark.servers

LEASE, LONG = 5, 13.0


def body() -> bytes:
    made = io.BytesIO()
    with h5py.File(made, "w") as file:
        file["group/data"] = np.arange(10)
        # hsload makes a number of it, which is repaired
        file["group"].attrs.create("colour", 7, dtype=h5py.enum_dtype({"RED": 0, "GREEN": 7}, "i2"))
    return made.getvalue()


class Once:
    """A delay of one request that a row's phase makes."""

    def __init__(self, phases: dict[str, Callable[[bytes], bool]]) -> None:
        self._left, self._lock = dict(phases), threading.Lock()
        self.met: set[str] = set()

    def __call__(self, request: bytes) -> float:
        with self._lock:
            for name, belongs in list(self._left.items()):
                if f"{name}.h5".encode() in request and belongs(request):
                    del self._left[name]
                    self.met.add(name)
                    return LONG
        return 0.0


def ours(*parts: bytes) -> Callable[[bytes], bool]:
    return lambda request: USER_AGENT.encode() in request and all(part in request for part in parts)


def theirs(*parts: bytes) -> Callable[[bytes], bool]:
    return lambda request: USER_AGENT.encode() not in request and all(part in request for part in parts)


@contextmanager
def between(port: int, delay: Once) -> Iterator[LossyProxy]:
    with lossy(port) as proxy:
        proxy.delay = delay
        yield proxy


def kept(world: World, script: str, work: Work, rows: int, settings: dict[str, object]) -> None:
    """Run a worker to its end; another one that asks for rows all the time gets none."""
    inventory = world.inventory()
    options = [f"--{name}={value}" for name, value in settings.items()]
    with world.running(script, "--drain", f"--lease_time={LEASE}", f"--workers={rows}", *options) as process:
        deadline = time.monotonic() + 60
        while inventory.counts()[work.active] + inventory.counts()[work.done] < rows:
            assert time.monotonic() < deadline and process.poll() is None, process.communicate(timeout=10)[0]
            time.sleep(0.2)
        while process.poll() is None:
            assert inventory.claim(work, "thief", 60) is None, "a lease ran out"
            assert time.monotonic() < deadline
            time.sleep(0.2)
        out = process.communicate(timeout=10)[0]
    assert "lease lost" not in out and "lost its row" not in out
    for row in inventory.rows():
        assert (row.state, getattr(row, work.column("attempts"))) == (work.done, 1), out


@pytest.mark.long
def test_a_load_keeps_its_row_in_every_phase(world: World) -> None:
    store = Once({"head": lambda request: b"HEAD " in request, "look": lambda request: b"GET " in request})
    pod = Once(
        {
            "hsload": theirs(b"POST /groups"),
            "repair": ours(b"PUT /groups/", b"/attributes/"),
            "flush": ours(b"PUT /?"),
            "count": ours(b"getobjs"),
        }
    )
    cluster = Once({"rights": ours(b"PUT /acls/")})
    keys = ["head", "look", "hsload", "repair", "flush", "count", "rights"]
    for key in keys:
        world.put(f"{key}.h5", body())
    world.make_inventory()
    world.scan()
    servers = world.servers
    with (
        s3_proxy(world) as (handler, gateway),
        between(servers.pod.port, pod) as own,
        between(servers.cluster.port, cluster) as shared,
    ):
        handler.delay = staticmethod(lambda method, path: store(f"{method} {path}".encode()))
        settings = {"aws_s3_gateway": gateway, "hsds_local": own.endpoint, "hsds_endpoint": shared.endpoint}
        kept(world, "loader.py", LOAD, len(keys), settings | {"public_read": True})
    assert store.met | pod.met | cluster.met == set(keys), "each phase was met"


@pytest.mark.long
def test_a_check_keeps_its_row_in_every_phase(world: World) -> None:
    checker = Once(
        {
            "links": lambda request: request.startswith(b"GET /groups/") and b"/links?" in request,
            "described": lambda request: request.startswith(b"POST /?") and b"include_attrs" in request,
            "value": lambda request: b"/value?" in request,
        }
    )
    keys = ["links", "described", "value"]
    for key in keys:
        world.put(f"{key}.h5", body())
    world.make_inventory()
    world.scan()
    world.ok("loader.py", "--drain", "--workers=3")
    assert world.inventory().counts()[State.LOADED] == len(keys)
    with between(world.servers.checker.port, checker) as own:
        kept(world, "differ.py", CHECK, len(keys), {"hsds_local": own.endpoint, "diff_method": "verify"})
    assert checker.met == set(keys), "each phase was met"
