"""Where the next row is looked for, on tables that are lists of chunks."""

from __future__ import annotations

import random

from bucket_loader.inventory.chunk_search import SHORT, SWEEP, WINDOW, ChunkSearch, Side


class Table:
    """Rows left in each chunk; it counts the looks."""

    def __init__(self, left: list[int]) -> None:
        self.left, self.looks = left, 0
        self.search = ChunkSearch(self.look, random.Random(1))

    def look(self, chunk: int) -> Side:
        self.looks += 1
        if self.left[chunk]:
            return Side.HERE
        return Side.AFTER

    def claim(self, now: float = 0) -> tuple[int | None, int]:
        """The chunk that gave a row, and how many were asked."""
        asked = 0
        mine = self.search.mine
        if mine is not None and self.left[mine]:
            self.left[mine] -= 1
            return mine, 1
        if mine is not None:
            self.search.empty(mine)
        for chunk in self.search.chunks(len(self.left), now):
            asked += 1
            if self.left[chunk]:
                self.left[chunk] -= 1
                self.search.found(chunk)
                return chunk, asked
            self.search.empty(chunk)
        return None, asked


def test_a_short_table_is_worked_off_in_its_order() -> None:
    table = Table([2] * SHORT)
    assert [table.claim()[0] for _ in range(2 * SHORT)] == [chunk for chunk in range(SHORT) for _ in range(2)]
    assert table.claim() == (None, SHORT)


def test_the_front_of_a_million_rows_is_found_with_ten_looks() -> None:
    table = Table([0] * 700 + [5] * 277)
    chunk, asked = table.claim()
    assert chunk is not None and 700 <= chunk < 700 + WINDOW
    assert asked <= WINDOW + 1 and table.looks <= 10
    assert table.claim() == (chunk, 1), "it stays there"


def test_everything_is_found_old_rows_first() -> None:
    table = Table([3] * 100)
    order = []
    while (chunk := table.claim()[0]) is not None:
        order.append(chunk)
    assert sorted(order) == [chunk for chunk in range(100) for _ in range(3)]
    assert all(abs(chunk - place // 3) <= 2 * WINDOW for place, chunk in enumerate(order))


def test_a_row_that_came_back_behind_the_front_is_found_by_the_sweep() -> None:
    table = Table([0] * 160)
    table.left[77] = 1
    table.look = lambda chunk: Side.AFTER  # type: ignore[method-assign] # no look tells
    table.search = ChunkSearch(table.look)
    calls = 1
    while table.claim()[0] is None:
        calls += 1
    assert calls <= 160 / SWEEP + 1


def test_a_row_that_was_put_back_by_this_worker_is_known() -> None:
    table = Table([0] * 160)
    table.left[77] = 1
    table.search.expect(77, 50)
    table.look = lambda chunk: Side.AFTER  # type: ignore[method-assign]
    assert table.claim(now=51) == (77, 1)


def test_an_empty_table_asks_nothing() -> None:
    assert Table([]).claim() == (None, 0)
