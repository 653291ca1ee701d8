"""What the inventory's server answers to a worker, damaged: it waits, lives on, and does the work when all is well."""

from __future__ import annotations

import random
import threading
from dataclasses import replace
from typing import Any

import pytest

from bucket_loader.children.tool import KeepGoing
from bucket_loader.hsds import Hsds
from bucket_loader.inventory.model import Claim, Outcome
from bucket_loader.inventory.states import LOAD, State
from bucket_loader.pod import worker
from bucket_loader.pod.job import ReleaseSlot
from bucket_loader.pod.stop import Stop
from bucket_loader.pod.worker import Worker
from bucket_loader.s3 import SourceObject
from tests.fuzz.answers import STRANGE, Answer, Request, Spoiling, served
from tests.world import PASSWORD, USER, World

FILES = 5
SPOILT = 25  # answers, of which a claim may be one: what it counted is an attempt


class Good:
    """A job that asks whether it still has its row, and is done."""

    work = LOAD
    overlaps_flush = False

    def first_columns(self) -> dict[str, Any]:
        return {}

    def end_switch(self, claim: Claim, keep_going: KeepGoing) -> Claim:
        return claim

    def run(self, claim: Claim, keep_going: KeepGoing, release_slot: ReleaseSlot) -> Outcome:
        return Outcome(State.LOADED if keep_going() else State.NEW, 0, mode="link")


class Spoiler:
    """Spoils every other answer for a while."""

    def __init__(self) -> None:
        self.random, self.left, self.lock = random.Random(7), SPOILT, threading.Lock()

    def __call__(self, request: Request, answer: Answer) -> Answer:
        with self.lock:
            if not self.left or self.random.random() < 0.5:
                return answer
            self.left -= 1
            body = answer.body
            return self.random.choice(
                (
                    replace(answer, body=b"<html>Please log in</html>", kind="text/html"),
                    replace(answer, body=body[: self.random.randrange(len(body))] if body else b"x"),
                    answer.saying(self.random.choice(STRANGE)),
                    answer.saying({"value": [self.random.choice(STRANGE)], "shape": self.random.choice(STRANGE)}),
                    replace(answer, body=b""),
                )
            )


@pytest.mark.long
def test_a_worker_outlives_answers_of_another_form(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "LONGEST_OUTAGE_PAUSE", 0.2)
    made = world.make_inventory()
    made.append([SourceObject(f"{number}.h5", 1, "e", 1) for number in range(FILES)])
    spoiler = Spoiler()
    with served(Spoiling(world.servers.cluster.endpoint, spoiler)) as between:
        inventory = made.clone(Hsds(between.endpoint, USER, PASSWORD, patience=1))
        config = world.config(lease_time=1, watchdog_sleep_time=1, max_attempts=20)
        Worker(Good(), inventory, config, Stop(1), "pod-1").run(drain=True)
    assert spoiler.left < SPOILT / 2
    assert [row.state for row in world.inventory().rows()] == [State.LOADED] * FILES
