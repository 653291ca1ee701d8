"""The worker's loop on a real inventory. The job is a stand-in, because a real one cannot fail on demand."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bucket_loader.children.tool import KeepGoing
from bucket_loader.errors import CalledOff, Retry
from bucket_loader.hsds import Hsds, Unavailable
from bucket_loader.inventory.claims import Inventory
from bucket_loader.inventory.model import Claim, Outcome
from bucket_loader.inventory.states import LOAD, State, Work
from bucket_loader.pod.job import ReleaseSlot
from bucket_loader.pod.stop import Stop
from bucket_loader.pod.worker import Step, Worker, outcome_of
from bucket_loader.s3 import SourceObject
from tests.proxy import lossy
from tests.waiting import until
from tests.world import PASSWORD, USER, World

Run = Callable[[Claim, KeepGoing], Outcome]


class Scripted:
    """A job whose runs are given."""

    work = LOAD
    overlaps_flush = False

    def __init__(self, *runs: Run) -> None:
        self._runs: Iterator[Run] = iter(runs)

    def first_columns(self) -> dict[str, Any]:
        return {}

    def end_switch(self, claim: Claim, keep_going: KeepGoing) -> Claim:
        return claim

    def run(self, claim: Claim, keep_going: KeepGoing, release_slot: ReleaseSlot) -> Outcome:
        return next(self._runs)(claim, keep_going)


def good(claim: Claim, keep_going: KeepGoing) -> Outcome:
    return Outcome(State.LOADED, 0, mode="link")


def raising(error: Exception) -> Run:
    def run(claim: Claim, keep_going: KeepGoing) -> Outcome:
        raise error

    return run


@pytest.fixture
def inventory(world: World) -> Inventory:
    made = world.make_inventory()
    made.append([SourceObject(f"{number}.h5", 1, "e", 1) for number in range(3)])
    return made


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    logging.getLogger("bucket_loader").propagate = True
    caplog.set_level(logging.DEBUG, "bucket_loader")
    return caplog


def worker(world: World, inventory: Inventory, *runs: Run, stop: Stop | None = None, **settings: object) -> Worker:
    return Worker(Scripted(*runs), inventory, world.config(**settings), stop or Stop(1), "pod-1")


def test_one_line_per_file_and_drain_ends(world: World, inventory: Inventory, log: pytest.LogCaptureFixture) -> None:
    worker(world, inventory, good, good, good).run(drain=True)
    assert inventory.counts()[State.LOADED] == 3
    ends = [record.getMessage() for record in log.records if record.getMessage().startswith("load ended")]
    assert len(ends) == 3
    assert ends[0].startswith("load ended key=0.h5 row=0 attempt=1 seconds=0.")


def test_once_is_one_row(world: World, inventory: Inventory) -> None:
    worker(world, inventory, good).run(once=True)
    assert inventory.counts()[State.LOADED] == 1


def test_an_error_that_nobody_foresaw_counts_as_an_attempt_and_the_worker_lives_on(
    world: World, inventory: Inventory
) -> None:
    boom = raising(ZeroDivisionError("no such\nthing"))
    # a row that failed comes after those that were never tried
    worker(world, inventory, boom, good, good, boom, max_attempts=2).run(drain=True)
    rows = list(inventory.rows())
    assert [row.state for row in rows] == [State.LOAD_FAILED, State.LOADED, State.LOADED]
    assert (rows[0].loadattempts, rows[0].loadreason) == (2, "ZeroDivisionError: no such thing")


def test_files_that_failed_together_are_not_tried_again_together(world: World, inventory: Inventory) -> None:
    claim = inventory.claim(LOAD, "pod-1", 60)
    assert claim is not None
    crash = Retry("a data node was restarted")
    waits = [outcome_of(claim, crash, world.config(retry_pause=60)).wait for _ in range(30)]
    assert 60 <= min(waits) < 80 and 100 < max(waits) <= 120


def test_a_server_that_is_away_costs_no_attempt(world: World, inventory: Inventory) -> None:
    working = worker(world, inventory, raising(Unavailable("HSDS is away")))
    assert working.step() is Step.AWAY
    row = inventory.row(0)
    assert (row.state, row.loadattempts) == (State.NEW, 0)


@pytest.mark.parametrize("rows", [0, 3])
def test_an_inventory_that_is_replaced_while_a_file_is_loaded(world: World, inventory: Inventory, rows: int) -> None:
    # the new table may be too short for the row that was claimed, or have another file in its place
    def replacing(claim: Claim, keep_going: KeepGoing) -> Outcome:
        world.cluster.delete_domain(world.inventory_domain)
        made = world.make_inventory()
        made.append([SourceObject(f"new-{number}.h5", 1, "e", 1) for number in range(rows)])
        return good(claim, keep_going)

    mine = worker(world, inventory, replacing, good)
    mine.step()
    assert inventory.counts()[State.NEW] == rows
    assert mine.step() is (Step.WORKED if rows else Step.IDLE)


def test_an_inventory_that_is_replaced_by_a_shorter_one_between_two_claims(world: World, inventory: Inventory) -> None:
    mine = worker(world, inventory, good, good)
    assert mine.step() is Step.WORKED
    world.cluster.delete_domain(world.inventory_domain)
    world.make_inventory().append([SourceObject("only.h5", 1, "e", 1)])
    assert Step.WORKED in [mine.step(), mine.step()]
    assert inventory.counts()[State.LOADED] == 1


def test_a_row_whose_workers_died_again_and_again_is_given_up(world: World, inventory: Inventory) -> None:
    for attempt in range(2):
        # each by a worker that has just started: it takes the first row that is free
        claim = inventory.clone().claim(LOAD, "dies", 1, now=time.time() - 100 + attempt * 50)
        assert claim is not None and inventory.mark_alone(claim)
    worker(world, inventory, good, good, max_attempts=2).run(drain=True)
    rows = list(inventory.rows())
    assert [row.state for row in rows] == [State.LOAD_FAILED, State.LOADED, State.LOADED]
    assert "its worker died in each of 2 attempts" in rows[0].loadreason


@pytest.mark.long
def test_a_long_job_keeps_its_row(world: World, inventory: Inventory) -> None:
    """It asks nothing meanwhile."""

    def long(claim: Claim, keep_going: KeepGoing) -> Outcome:
        end = time.monotonic() + 7
        while time.monotonic() < end:
            # no other worker gets it, although its first lease is long over
            assert inventory.row(0).lease > time.time() - 1
            time.sleep(0.2)
        assert keep_going()
        return Outcome(State.LOADED)

    assert worker(world, inventory, long, lease_time=5).step() is Step.WORKED
    assert inventory.row(0).state is State.LOADED


def test_a_worker_that_lost_its_row_stops_and_writes_nothing(world: World, inventory: Inventory) -> None:
    taken: list[Claim | None] = []

    def slow(claim: Claim, keep_going: KeepGoing) -> Outcome:
        taken.append(inventory.clone().claim(LOAD, "pod-2", 60, now=time.time() + 100))
        time.sleep(0.6)
        if not keep_going():
            raise CalledOff
        return Outcome(State.LOADED)

    assert worker(world, inventory, slow, lease_time=2).step() is Step.WORKED
    row = inventory.row(0)
    assert taken[0] is not None and row.token == taken[0].token
    assert (row.state, row.loadpodname) == (State.LOADING, "pod-2")


def test_a_lease_counts_from_before_its_claim_was_asked_for(
    world: World, inventory: Inventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = inventory.claim

    def paused(work: Work, pod: str, lease: float, first: dict[str, Any]) -> Claim | None:
        mine = claim(work, pod, lease, first=first)
        time.sleep(2.1)  # a worker that is stopped before it hears of its claim
        inventory.clone().claim(LOAD, "pod-2", 60, now=time.time() + 100)
        return mine

    went_on: list[bool] = []

    def asks(claim: Claim, keep_going: KeepGoing) -> Outcome:
        went_on.append(keep_going())
        raise CalledOff

    monkeypatch.setattr(inventory, "claim", paused)
    assert worker(world, inventory, asks, lease_time=2).step() is Step.WORKED
    assert not went_on, "it was not even begun"
    assert inventory.row(0).loadpodname == "pod-2"


def test_stop_is_heard_in_an_idle_pause(world: World, inventory: Inventory) -> None:
    stop = Stop(1)
    working = worker(world, inventory, good, good, good, stop=stop, watchdog_sleep_time=60)
    thread = threading.Thread(target=working.run)
    thread.start()
    until(lambda: inventory.counts()[State.LOADED] == 3, 30)
    time.sleep(1.5)
    stop.request()
    thread.join(5)
    assert not thread.is_alive()


def test_the_grace_and_a_second_request() -> None:
    stop = Stop(grace=60)
    assert not stop.requested
    stop.request()
    assert stop.requested and not stop.now
    stop.request()
    assert stop.now
    short = Stop(grace=0)
    short.request()
    assert short.now


def test_a_lost_answer_to_a_finish_is_no_lost_row(world: World, inventory: Inventory) -> None:
    with lossy(world.servers.cluster.port) as proxy:
        through = inventory.clone(Hsds(proxy.endpoint, USER, PASSWORD))

        def run(claim: Claim, keep_going: KeepGoing) -> Outcome:
            proxy.lose = [f"PUT {through._value}".encode()]
            return Outcome(State.LOADED)

        working = worker(world, through, run)
        working.step()
        assert (proxy.lost, working.finished) == (1, 1)
    assert inventory.row(0).state is State.LOADED
