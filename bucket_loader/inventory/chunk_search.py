"""Where the next row is: which chunks of the table a worker asks, in which order.

A claim asks one chunk at a time, and a million rows have 558 chunks. Work is done roughly in the order of the
table, so that there is a front: rows behind it are finished, rows ahead of it wait. A worker stays in its chunk while
it has rows; then it finds the front by halves, with ten looks at a million rows, and takes a chunk near it by chance,
so that workers do not all ask the same one. What is not near the front (rows to be tried again, of workers that died)
is found by a slow sweep over all chunks, and at once by the worker that knows of it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from enum import Enum

SHORT = 16  # chunks; a table up to this length is asked from end to end
WINDOW = 8  # chunks at the front over which workers spread
SWEEP = 16  # chunks that one call asks which found nothing at the front


class Side(Enum):
    """Where the front is, seen from a chunk."""

    HERE = "here"  # the chunk has rows to claim; there may be earlier ones
    BEFORE = "before"
    AFTER = "after"


class ChunkSearch:
    """What one worker knows of where rows are. `side_of` reads a chunk and says on which side the front is."""

    def __init__(self, side_of: Callable[[int], Side], chance: random.Random | None = None) -> None:
        self._side_of, self._chance = side_of, chance or random.Random()
        self._mine: int | None = None
        self._expected: list[tuple[float, int]] = []
        self._asked: dict[int, int] = {}  # in which call a chunk was last found empty
        self._calls = 0

    @property
    def mine(self) -> int | None:
        """The chunk that gave the last row."""
        return self._mine

    def chunks(self, count: int, now: float) -> Iterator[int]:
        """The chunks to ask, best first; the caller says by `found` or `empty` what came of each."""
        self._calls += 1
        asked: set[int] = set()
        for chunk in self._candidates(count, now):
            if chunk not in asked:
                asked.add(chunk)
                yield chunk

    def _candidates(self, count: int, now: float) -> Iterator[int]:
        due = [chunk for when, chunk in self._expected if when <= now and chunk < count]
        self._expected = [item for item in self._expected if item[0] > now]
        yield from due
        if count <= SHORT:
            yield from range(count)
            return
        front = self.front(count)
        # chunks that others left with some rows in them look as if the front had passed them
        yield from range(max(0, front - WINDOW), front)
        window = list(range(front, min(front + WINDOW, count)))
        self._chance.shuffle(window)
        yield from window
        yield from sorted(range(count), key=lambda chunk: self._asked.get(chunk, 0))[:SWEEP]

    def front(self, count: int) -> int:
        """The first chunk that has rows to claim, as far as looks by halves tell; `count` when all are behind."""
        low, high = 0, count
        while low < high:
            middle = (low + high) // 2
            if self._side_of(middle) is Side.AFTER:
                low = middle + 1
            else:
                high = middle
        return low

    def found(self, chunk: int) -> None:
        self._mine = chunk

    def empty(self, chunk: int) -> None:
        self._asked[chunk] = self._calls
        if chunk == self._mine:
            self._mine = None

    def expect(self, chunk: int, when: float) -> None:
        """A row of this chunk can be claimed again from then on."""
        self._expected.append((when, chunk))
