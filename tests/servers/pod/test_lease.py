"""The lease of a row in work: kept by a thread of its own, lost loudly, and not kept for a thread that hangs."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Iterator

import pytest

from bucket_loader.hsds import Hsds
from bucket_loader.inventory.claims import ALONE, IN_WORK, Inventory
from bucket_loader.inventory.model import Claim, Outcome
from bucket_loader.inventory.states import LOAD, State
from bucket_loader.log import Phase, phases, timed
from bucket_loader.pod.lease import Lease, Watched
from bucket_loader.s3 import Source, SourceObject
from tests.proxy import LossyProxy, lossy
from tests.waiting import until
from tests.world import PASSWORD, USER, World

SECONDS = 3.0


@pytest.fixture
def inventory(world: World) -> Inventory:
    made = world.make_inventory()
    made.append([SourceObject("a.h5", 1, "e", 1)])
    return made


@pytest.fixture
def through(world: World, inventory: Inventory) -> Iterator[tuple[Inventory, LossyProxy]]:
    """The inventory by way of a proxy."""
    with lossy(world.servers.cluster.port) as proxy:
        yield inventory.clone(Hsds(proxy.endpoint, USER, PASSWORD)), proxy


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    logging.getLogger("bucket_loader").propagate = True
    caplog.set_level(logging.DEBUG, "bucket_loader")
    return caplog


def claimed(inventory: Inventory, now: float | None = None) -> Claim:
    claim = inventory.claim(LOAD, "pod-1", SECONDS, now)
    assert claim is not None
    return claim


def lease(inventory: Inventory, claim: Claim, phase: Phase | None = None, silence: float = 0, ago: float = 0) -> Lease:
    watched = Watched(phase or Phase(), lambda: silence, stuck_after=1)
    return Lease(inventory, claim, SECONDS, time.monotonic() - ago, watched)


def lines(log: pytest.LogCaptureFixture, start: str) -> list[tuple[str, str]]:
    return [(r.levelname, r.getMessage()) for r in log.records if r.getMessage().startswith(start)]


def test_a_lease_that_nobody_asks_for_is_kept(inventory: Inventory) -> None:
    with lease(inventory, claimed(inventory)) as held:
        time.sleep(2.5 * SECONDS)
        assert inventory.clone().claim(LOAD, "pod-2", SECONDS) is None
        assert held.held


def test_a_renewal_that_fails_is_tried_again(
    through: tuple[Inventory, LossyProxy], inventory: Inventory, log: pytest.LogCaptureFixture
) -> None:
    slow, proxy = through
    with lease(slow, claimed(inventory)) as held:
        proxy.lose = [b"PUT /datasets/"] * 3
        time.sleep(2 * SECONDS)
        assert held.held and proxy.lost == 3
    assert len(lines(log, "cannot renew the lease")) == 3


def test_a_renewal_without_an_answer_does_not_take_the_time_of_the_next(
    through: tuple[Inventory, LossyProxy], inventory: Inventory
) -> None:
    slow, proxy = through
    with lease(slow, claimed(inventory)) as held:
        proxy.hold = lambda request: request.startswith(b"PUT /datasets/")
        time.sleep(2 * SECONDS)
        assert proxy.held.is_set() and held.held
        proxy.let_go.set()


def test_a_server_that_is_away_ends_the_lease(
    through: tuple[Inventory, LossyProxy], inventory: Inventory, log: pytest.LogCaptureFixture
) -> None:
    slow, proxy = through
    with lease(slow, claimed(inventory)) as held:
        proxy.lose = [b"PUT /datasets/"] * 1000
        began = time.monotonic()
        until(lambda: not held.held, 20)
        assert time.monotonic() - began < SECONDS + 1
        until(lambda: lines(log, "lease lost"), 20)
    level, line = lines(log, "lease lost")[0]
    assert level == "WARNING" and "reason='it ran out'" in line


def test_a_row_that_is_lost_is_said_with_its_step(inventory: Inventory, log: pytest.LogCaptureFixture) -> None:
    with phases() as phase, timed("flush"), lease(inventory, claimed(inventory), phase) as held:
        taken = claimed(inventory.clone(), now=time.time() + 100)
        until(lambda: not held.held, 20)
    until(lambda: lines(log, "lease lost"), 20)
    ((level, line),) = lines(log, "lease lost")
    assert level == "WARNING"
    assert "step=flush" in line and re.search(r"seconds=\d", line) and "another worker has the row" in line
    assert inventory.row(0).token == taken.token


def test_a_row_that_is_lost_twice_is_said_loudly(inventory: Inventory, log: pytest.LogCaptureFixture) -> None:
    claimed(inventory, now=time.time() - 100)
    second = claimed(inventory)
    assert second.taken_over
    with phases() as phase, timed("count"), lease(inventory, second, phase) as held:
        claimed(inventory.clone(), now=time.time() + 100)
        until(lambda: not held.held, 20)
    until(lambda: lines(log, "lease lost"), 20)
    ((level, line),) = lines(log, "lease lost")
    assert level == "ERROR" and line.startswith("lease lost, and not for the first time ") and "step=count" in line


def test_what_was_finished_is_not_lost(inventory: Inventory, log: pytest.LogCaptureFixture) -> None:
    claim = claimed(inventory)
    with lease(inventory, claim, ago=SECONDS / 4) as held:
        assert inventory.finish(claim, Outcome(State.LOADED)) is State.LOADED
    time.sleep(SECONDS)
    assert not lines(log, "lease lost")
    assert not held.held, "nor is it kept"


def test_a_renewal_that_comes_between_a_finish_and_its_end_is_no_loss(
    inventory: Inventory, log: pytest.LogCaptureFixture
) -> None:
    claim = claimed(inventory)
    with lease(inventory, claim):
        assert inventory.finish(claim, Outcome(State.LOADED)) is State.LOADED
        time.sleep(SECONDS)  # renewals go on meanwhile, and are refused
        assert not lines(log, "lease lost, ")
    assert not [line for _, line in lines(log, "lease lost") if "another worker" in line]


def test_a_thread_that_hangs_does_not_keep_its_row(inventory: Inventory, log: pytest.LogCaptureFixture) -> None:
    with phases() as phase, timed("count"), lease(inventory, claimed(inventory), phase, silence=2.0) as held:
        until(lambda: not held.held, 20)
        until(lambda: inventory.clone().claim(LOAD, "pod-2", SECONDS) is not None, 20)
    ((level, line),) = lines(log, "its worker hangs")
    assert level == "ERROR" and "step=count" in line and "silent=2.0" in line


def test_a_lease_that_ran_out_before_it_was_heard_of_is_not_held(inventory: Inventory) -> None:
    with lease(inventory, claimed(inventory), ago=SECONDS) as held:
        assert not held.held


def test_each_answer_is_a_sign_of_life(world: World, inventory: Inventory) -> None:
    seen: list[int] = []

    def alive() -> None:
        seen.append(threading.get_ident())

    hsds = Hsds(world.servers.cluster.endpoint, USER, PASSWORD, alive=alive)
    hsds.root_of(world.inventory_domain)
    assert not hsds.exists(f"{world.folder}none")
    assert len(seen) == 2
    hsds.clone().root_of(world.inventory_domain)
    assert len(seen) == 2, "the signs of another thread are its own"


def test_each_answer_of_the_store_is_a_sign_of_life(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in world.servers.s3.env().items():
        monkeypatch.setenv(name, value)
    seen: list[int] = []
    source = Source(world.config(), lambda: seen.append(1))
    source.check()
    assert source.head("none.h5") is None
    assert len(seen) == 2


# -- whose worker died -------------------------------------------------------------------------------------------------


def test_an_attempt_that_was_cut_off_beside_others_does_not_count(inventory: Inventory) -> None:
    first = claimed(inventory, now=time.time() - 1000)
    assert (first.attempt, first.taken_over, inventory.row(0).loadstatus) == (1, False, IN_WORK)
    second = claimed(inventory.clone(), now=time.time() - 500)
    assert (second.attempt, second.taken_over) == (1, True)
    assert inventory.mark_alone(second) and inventory.row(0).loadstatus == ALONE
    third = claimed(inventory.clone(), now=time.time())
    assert (third.attempt, third.taken_over) == (2, True)
    assert not inventory.mark_alone(second), "who lost the row writes nothing"
    assert (inventory.row(0).loadattempts, inventory.row(0).loadstatus) == (2, IN_WORK)


def test_what_ended_otherwise_is_not_taken_over(inventory: Inventory) -> None:
    first = claimed(inventory)
    assert inventory.finish(first, Outcome(State.NEW, 255, "broken pipe")) is State.NEW
    again = claimed(inventory.clone())
    assert (again.attempt, again.taken_over) == (2, False)
    assert inventory.release(again) is State.NEW
    once_more = claimed(inventory.clone())
    assert (once_more.attempt, once_more.taken_over) == (2, False)
