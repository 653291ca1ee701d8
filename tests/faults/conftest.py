"""The table at the end: what was injected how often, and what became of the rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.faults.drill import Drill
from tests.world import World


@dataclass
class Ledger:
    drills: list[Drill] = field(default_factory=list)


_LEDGER = Ledger()


@pytest.fixture
def drill(world: World, request: pytest.FixtureRequest) -> Iterator[Drill]:
    made = Drill(world, request.node.name.removeprefix("test_").replace("_", " "))
    _LEDGER.drills.append(made)
    yield made


def pytest_terminal_summary() -> None:
    table = Table("fault", "times", "rows", "lost", "doubled", "stuck", title="what was injected, what became of it")
    for made in _LEDGER.drills:
        found = made.found
        cells = [made.injected, *([found.rows, found.lost, found.doubled, found.stuck] if found else "----")]
        table.add_row(escape(made.name), *map(str, cells))
    if _LEDGER.drills:
        Console(width=120).print(table)
