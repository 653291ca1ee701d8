"""A table of many chunks: claims go to the front, and nothing is left behind."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from bucket_loader.inventory.chunk_search import SHORT
from bucket_loader.inventory.claims import Inventory
from bucket_loader.inventory.model import Outcome
from bucket_loader.inventory.states import CHECK, LOAD, State
from bucket_loader.inventory.table import CHUNK_ROWS
from tests.world import World

pytestmark = pytest.mark.servers

CHUNKS = SHORT + 8
DONE, WAITING = 12, 3  # chunks that are finished, rows that wait in each other one


@pytest.fixture
def inventory(world: World) -> Inventory:
    made = world.make_inventory()
    assert made.chunk_rows == CHUNK_ROWS, "HSDS took the chunks as they were asked for"
    for chunk in range(CHUNKS):
        rows = np.zeros(CHUNK_ROWS, made.dtype)
        rows["filename"] = [f"{chunk}-{row}.h5".encode() for row in range(CHUNK_ROWS)]
        rows["rowid"] = np.arange(CHUNK_ROWS) + chunk * CHUNK_ROWS + 1
        rows["state"] = State.VERIFIED
        if chunk >= DONE:
            rows["state"][-WAITING:] = State.NEW
        world.cluster.request(
            "PUT",
            f"/datasets/{made.table_id}/value",
            made.domain,
            params={"append": len(rows)},
            data=rows.tobytes(),
            again=False,
        )
    return made


def test_rows_are_claimed_once_each_and_the_old_ones_first(inventory: Inventory) -> None:
    workers = [inventory.clone() for _ in range(3)]
    claimed: list[int] = []
    idle = 0
    while idle < 6:
        for number, worker in enumerate(workers):
            claim = worker.claim(LOAD, f"pod-{number}", 60)
            idle = 0 if claim else idle + 1
            if claim:
                claimed.append(claim.row.index)
                assert claim.attempt == 1
                assert worker.finish(claim, Outcome(State.LOADED)) is State.LOADED
    assert max(Counter(claimed).values()) == 1
    assert len(claimed) == (CHUNKS - DONE) * WAITING
    assert inventory.counts()[State.LOADED] == len(claimed)
    first = [index // CHUNK_ROWS for index in claimed[:6]]
    assert max(first) < DONE + 8


def test_a_check_finds_the_few_rows_that_are_loaded(inventory: Inventory) -> None:
    loader = inventory.clone()
    claim = loader.claim(LOAD, "pod-0", 60)
    assert claim is not None
    loader.finish(claim, Outcome(State.LOADED))
    found = inventory.clone().claim(CHECK, "pod-1", 60)
    assert found is not None and found.row.index == claim.row.index


def test_claims_of_an_earlier_life_are_found(inventory: Inventory) -> None:
    claims = [inventory.claim(LOAD, "pod-0", 600) for _ in range(4)]
    assert inventory.clone().forget_claims(LOAD, "pod-0") == 4
    assert [inventory.row(claim.row.index).lease for claim in claims if claim] == [0] * 4
