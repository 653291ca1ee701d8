"""Progress: bars on a terminal alone, lines in a log now and then."""

from __future__ import annotations

import io
import logging

import pytest
from rich.console import Console

from bucket_loader import progress
from bucket_loader.progress import Ticker
from bucket_loader.watch import watcher
from tests.world import World


def test_a_bar_is_drawn_on_a_terminal_and_goes() -> None:
    drawn, piped = io.StringIO(), io.StringIO()
    assert list(progress.bar("abc", "reading", 3, Console(file=drawn, force_terminal=True))) == ["a", "b", "c"]
    assert "reading" in drawn.getvalue() and "3/3" in drawn.getvalue()
    assert list(progress.bar("abc", "reading", 3, Console(file=piped))) == ["a", "b", "c"]
    assert piped.getvalue() == ""


def test_a_ticker_is_due_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([100.0, 109.0, 110.5, 110.5, 111.0, 120.0, 121.0, 121.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(moments))
    ticker = Ticker(10)
    assert [ticker.due() for _ in range(5)] == [False, True, False, False, True]


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
