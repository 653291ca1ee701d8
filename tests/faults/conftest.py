"""The table at the end: what was injected how often, and what became of the rows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.faults.drill import Drill
from tests.world import World

_ROWS: list[list[str]] = []


@pytest.fixture(scope="session")
def quick_cluster() -> bool:
    """The one that fails is as somebody else has started it."""
    return False


@pytest.fixture
def drill(world: World, request: pytest.FixtureRequest) -> Iterator[Drill]:
    made = Drill(world, request.node.name.removeprefix("test_").replace("_", " "))
    yield made
    found = made.found
    counts = [found.rows, found.lost, found.doubled, found.stuck] if found else "----"
    # with the report, because it may be made in another process
    request.node.user_properties.append(("drill", [made.name, str(made.injected), *map(str, counts)]))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "teardown":
        _ROWS.extend(value for name, value in report.user_properties if name == "drill")  # type: ignore[misc]


def pytest_terminal_summary() -> None:
    table = Table("fault", "times", "rows", "lost", "doubled", "stuck", title="what was injected, what became of it")
    for name, *cells in sorted(_ROWS):
        table.add_row(escape(name), *cells)
    if _ROWS:
        Console(width=120).print(table)
