"""Fetches what comes slowly (pages of a listing, rows of a table) while the part before it is worked on."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

S = TypeVar("S")
T = TypeVar("T")
_POLL_SECONDS = 0.2


def side_by_side(sources: Sequence[Callable[[], Iterable[T]]], depth: int = 4) -> Iterator[T]:
    """The items of all sources, each read by a thread of its own and up to `depth` items ahead.

    The items of one source keep their order. An error of a source is raised here; the other sources end then, as they
    do when the reader stops early.
    """
    items: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(depth * max(1, len(sources)))
    stopped = threading.Event()

    def put(item: T | None, error: BaseException | None = None) -> None:
        while not stopped.is_set():
            try:
                return items.put((item, error), timeout=_POLL_SECONDS)
            except queue.Full:
                continue

    def read(source: Callable[[], Iterable[T]]) -> None:
        try:
            for item in source():
                put(item)
                if stopped.is_set():
                    return
        except BaseException as error:
            put(None, error)
        else:
            put(None)

    threads = [threading.Thread(target=read, args=(source,), daemon=True) for source in sources]
    for thread in threads:
        thread.start()
    try:
        running = len(threads)
        while running:
            item, error = items.get()
            if error is not None:
                raise error
            if item is None:
                running -= 1
            else:
                yield item
    finally:
        stopped.set()


def in_order(items: Iterable[S], fetchers: Sequence[Callable[[S], T]]) -> Iterator[T]:
    """What is fetched for each item, in the order of the items; as many at a time, and ahead, as there are fetchers.

    A fetcher is called by one thread at a time: it may have a connection of its own. An error is raised here.
    """
    idle, waiting = deque(fetchers), deque[Future[T]]()

    def fetch(item: S) -> T:
        fetcher = idle.popleft()
        try:
            return fetcher(item)
        finally:
            idle.append(fetcher)

    pool = ThreadPoolExecutor(len(fetchers))
    try:
        for item in items:
            waiting.append(pool.submit(fetch, item))
            if len(waiting) > len(fetchers):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
