"""Several listings at once, ahead of their reader."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from bucket_loader.prefetch import in_order, side_by_side
from tests.waiting import until


def test_the_items_of_each_source_keep_their_order() -> None:
    found = list(side_by_side([lambda: iter(range(100)), lambda: iter(range(1000, 1100)), lambda: iter([])]))
    assert [item for item in found if item < 1000] == list(range(100))
    assert [item for item in found if item >= 1000] == list(range(1000, 1100))


def test_sources_run_side_by_side_and_ahead() -> None:
    barrier = threading.Barrier(2, timeout=10)

    def meets_the_other() -> Iterator[int]:
        barrier.wait()  # one after the other would break it
        yield 1

    assert list(side_by_side([meets_the_other, meets_the_other])) == [1, 1]
    given = []

    def counted() -> Iterator[int]:
        for number in range(50):
            given.append(number)
            yield number

    reader = side_by_side([counted], depth=3)
    assert next(reader) == 0
    until(lambda: len(given) >= 4, 10)
    time.sleep(0.1)
    assert 4 <= len(given) <= 6, "a few ahead, and no more"
    reader.close()


def test_an_error_of_a_source_is_raised_and_ends_the_others() -> None:
    def endless() -> Iterator[int]:
        number = 0
        while True:
            number += 1
            yield number

    def broken() -> Iterator[int]:
        yield 0
        raise ValueError("page 2")

    before = set(threading.enumerate())  # those of other tests may end meanwhile
    with pytest.raises(ValueError, match="page 2"):
        list(side_by_side([endless, broken]))
    until(lambda: not set(threading.enumerate()) - before, 10)


def test_what_is_fetched_comes_in_order_with_each_fetcher_in_one_thread() -> None:
    barrier, lock = threading.Barrier(2, timeout=10), threading.Lock()
    at_once = {"one": 0, "other": 0}

    def fetcher(name: str) -> Callable[[int], int]:
        def fetch(number: int) -> int:
            with lock:
                at_once[name] += 1
                assert at_once[name] == 1, "two threads have one fetcher"
            if number < 2:
                barrier.wait()  # one after the other would break it
            time.sleep(0.02 if number % 3 else 0)
            with lock:
                at_once[name] -= 1
            return 10 * number

        return fetch

    fetchers = [fetcher("one"), fetcher("other")]
    assert list(in_order(range(20), fetchers)) == [10 * number for number in range(20)]
    assert list(in_order([], fetchers)) == []


def test_a_reader_that_stops_and_a_fetcher_that_fails_end_the_fetching() -> None:
    asked = []

    def fetch(number: int) -> int:
        asked.append(number)
        if number == 5:
            raise ValueError("row 5")
        return number

    reader = in_order(range(1000), [fetch, fetch])
    assert next(reader) == 0
    reader.close()  # type: ignore[attr-defined]
    assert len(asked) < 5
    with pytest.raises(ValueError, match="row 5"):
        list(in_order(range(1000), [fetch, fetch]))
    assert max(asked) < 10, "nothing is asked for after it"
