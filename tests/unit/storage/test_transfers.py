"""Transfers hold so many bytes at once, and the first failure ends them all."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from bucket_loader.storage.transfers import Transfers


class Store:
    """A client that takes its time, and counts what it holds."""

    def __init__(self, fails_at: int = -1) -> None:
        self.held = self.most = self.count = 0
        self._fails_at, self._lock = fails_at, threading.Lock()

    def put_object(self, Body: bytes, **_: Any) -> dict[str, Any]:
        with self._lock:
            self.held += len(Body)
            self.count += 1
            self.most = max(self.most, self.held)
            number = self.count
        time.sleep(0.002)
        with self._lock:
            self.held -= len(Body)
        if number == self._fails_at:
            raise OSError("the store is full")
        return {"ResponseMetadata": {"RetryAttempts": 1}}


def test_no_more_bytes_are_held_than_allowed() -> None:
    store = Store()
    with Transfers(store, 8, 1000) as transfers:  # type: ignore[arg-type]
        for number in range(100):
            transfers.put_soon("b", str(number), bytes(300))
    assert store.count == 100 and store.most <= 1000
    assert (transfers.traffic.puts, transfers.traffic.put_bytes, transfers.traffic.retries) == (100, 30_000, 100)


def test_what_is_larger_than_all_goes_alone() -> None:
    store = Store()
    with Transfers(store, 8, 1000) as transfers:  # type: ignore[arg-type]
        for size in (500, 5000, 500):
            transfers.put_soon("b", "k", bytes(size))
        transfers.wait()
        assert store.count == 3 and store.most == 5000


def test_a_failure_is_raised_to_who_hands_over_more_and_at_the_end() -> None:
    store = Store(fails_at=3)
    with pytest.raises(OSError, match="the store is full"), Transfers(store, 2, 1000) as transfers:  # type: ignore[arg-type]
        for number in range(1000):
            transfers.put_soon("b", str(number), bytes(100))
    assert store.count < 100
    store = Store(fails_at=1)
    with pytest.raises(OSError, match="the store is full"), Transfers(store, 2, 1000) as transfers:  # type: ignore[arg-type]
        transfers.put_soon("b", "k", b"")
