"""Progress: bars on a terminal alone, lines in a log now and then."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from bucket_loader import progress
from bucket_loader.progress import Ticker


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
