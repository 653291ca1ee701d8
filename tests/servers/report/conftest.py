"""An inventory after a weekend, in a real HSDS; one for all tests of this folder, since they only read."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from bucket_loader.inventory.claims import Inventory
from tests import weekend
from tests.world import Servers, World

ROWS = 3_000


@pytest.fixture(scope="session")
def now() -> int:
    return int(time.time())


@pytest.fixture(scope="session")
def seen(servers: Servers, now: int) -> Iterator[World]:
    """A world whose inventory has 3,000 rows."""
    world = World.make(servers, "a weekend")
    weekend.fill(world.make_inventory(), weekend.rows(ROWS, now))
    yield world


@pytest.fixture
def inventory(seen: World) -> Inventory:
    return Inventory.open(seen.cluster, seen.inventory_domain, any_columns=True)
