"""Progress: bars on a terminal alone, lines in a log now and then."""

from __future__ import annotations

import logging

import pytest

from bucket_loader.progress import Ticker
from bucket_loader.watch import watcher
from tests.world import World


def test_a_long_scan_says_how_far_it_is(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in world.servers.s3.env().items():
        monkeypatch.setenv(name, value)
    for number in range(3):
        world.put(f"{number}.h5", b"x")
    inventory = world.make_inventory()
    monkeypatch.setattr(watcher, "Ticker", lambda: Ticker(0))
    logging.getLogger("bucket_loader").propagate = True
    with caplog.at_level(logging.INFO, logger="bucket_loader"):
        watcher.Watcher(watcher.Source(world.config()), inventory, world.config().domains).scan()
    said = [record.getMessage() for record in caplog.records]
    assert any(line.startswith("scanning listed=3 added=0 last=2.h5") for line in said), said
