"""Which rows are shown: each choice against the same choice made over all rows in Python."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase

import pytest

from bucket_loader.inventory.claims import Inventory
from bucket_loader.inventory.model import Row
from bucket_loader.inventory.states import State
from bucket_loader.report.select import SORTS, Selection, moment, rows, stream


def latest(row: Row) -> int:
    return max(row.loadstart, row.loaddone, row.diffstart, row.diffdone, row.added, row.vanished)


def test_all_rows_in_the_order_of_the_table(inventory: Inventory) -> None:
    assert list(rows(inventory, Selection())) == list(inventory.rows())


@pytest.mark.parametrize(
    ("selection", "fits"),
    [
        (
            Selection(frozenset({State.LOAD_FAILED, State.NEW})),
            lambda row: row.state in (State.LOAD_FAILED, State.NEW),
        ),
        (Selection(patterns=("climate/run07/*", "*.h5x")), lambda row: fnmatchcase(row.filename, "climate/run07/*")),
        (Selection(patterns=("*quoted*", "größe*")), lambda row: "quoted" in row.filename or "größe" in row.filename),
        (
            Selection(pods=("*-diff-5b8-3", "*-7d9c6f-1")),
            lambda row: row.diffpodname.endswith("-diff-5b8-3") or row.loadpodname.endswith("-7d9c6f-1"),
        ),
        (
            Selection(frozenset({State.VERIFIED}), ("climate/*",), ("*-2",)),
            lambda row: (
                row.state is State.VERIFIED
                and row.filename.startswith("climate/")
                and (row.loadpodname.endswith("-2") or row.diffpodname.endswith("-2"))
            ),
        ),
    ],
)
def test_choices(inventory: Inventory, selection: Selection, fits: Callable[[Row], bool]) -> None:
    wanted = [row for row in inventory.rows() if fits(row)]
    assert 0 < len(wanted) < inventory.count()
    assert list(rows(inventory, selection)) == wanted


def test_what_changed_since(inventory: Inventory, now: int) -> None:
    since = now - 7200
    wanted = [row for row in inventory.rows() if latest(row) >= since]
    assert 0 < len(wanted) < inventory.count()
    assert list(rows(inventory, Selection(since=since))) == wanted


KEYS: dict[str, Callable[[Row], object]] = {
    "name": lambda row: row.filename.encode(),
    "state": lambda row: row.state,
    "size": lambda row: row.size,
    "load": lambda row: row.loaddone - row.loadstart if row.loaddone and row.loadstart else -1,
    "check": lambda row: row.diffdone - row.diffstart if row.diffdone and row.diffstart else -1,
    "attempts": lambda row: row.loadattempts + row.diffattempts,
    "changed": latest,
}


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("reverse", [False, True])
def test_sorts(inventory: Inventory, sort: str, reverse: bool) -> None:
    down = SORTS[sort][2] is not reverse
    found = list(rows(inventory, Selection(sort=sort, reverse=reverse)))
    keys = [KEYS[sort](row) for row in found]
    assert keys == sorted((KEYS[sort](row) for row in inventory.rows()), reverse=down)  # type: ignore[type-var]
    first = list(rows(inventory, Selection(sort=sort, reverse=reverse, limit=7)))
    assert first == found[:7]


@pytest.mark.parametrize("limit", [0, 1, 1500])
def test_a_limit(inventory: Inventory, limit: int) -> None:
    assert list(rows(inventory, Selection(limit=limit))) == list(inventory.rows())[:limit]


def test_a_table_of_many_requests_is_read_in_order(inventory: Inventory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bucket_loader.inventory.table.READ_ROWS", 128)
    found = list(stream(inventory, ("size",)))
    assert [start for start, _ in found] == list(range(0, inventory.count(), 128))
    sizes = [int(size) for _, block in found for size in block["size"]]
    assert sizes == [row.size for row in inventory.rows()]
    assert len(list(rows(inventory, Selection(limit=5)))) == 5, "what is under way is given up at a limit"


def test_nothing_chosen(inventory: Inventory) -> None:
    assert list(rows(inventory, Selection(patterns=("nothing",)))) == []
    assert list(rows(inventory, Selection(patterns=("nothing",), sort="size"))) == []


def test_moments() -> None:
    assert moment("2h", now=10_000) == 2_800
    assert moment("90", now=10_000) == 9_910
    assert moment("2026-11-20T18:00") - moment("2026-11-20") == 18 * 3600
    with pytest.raises(ValueError, match="'soon' is no time: write 90m, 2h or 3d"):
        moment("soon")
