"""What a measurement is: two ways of doing one thing, run in turns, and the ratio of their medians."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field

from bench.page import verdict


@dataclass
class Row:
    """One line of the table. `better` is above 1 where ours wins; `goal` is what it should be at least."""

    what: str
    rival: str
    unit: str
    ours: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)
    goal: float | None = None
    less_is_more: bool = False  # seconds, bytes: the smaller number wins

    @property
    def ratio(self) -> float:
        mine, other = statistics.median(self.ours), statistics.median(self.theirs)
        return other / mine if self.less_is_more else mine / other

    @property
    def reached(self) -> bool | None:
        return None if self.goal is None else self.ratio >= self.goal

    def cells(self) -> list[str]:
        return [
            self.what,
            self.rival,
            f"{statistics.median(self.ours):.3g} {self.unit}",
            f"{statistics.median(self.theirs):.3g} {self.unit}",
            f"{self.ratio:.2f}",
            "" if self.goal is None else f"≥ {self.goal:g}",
            "" if self.reached is None else verdict(self.reached),
        ]


HEAD = ["what", "against", "ours", "theirs", "ratio", "goal", ""]


def in_turns(row: Row, ours: Callable[[], float], theirs: Callable[[], float], runs: int) -> Row:
    """Measure both in turns, the first one to go changing, so that a slow minute of the machine hits both."""
    for turn in range(runs):
        pair = [(row.ours, ours), (row.theirs, theirs)]
        for found, measure in pair if turn % 2 == 0 else reversed(pair):
            found.append(measure())
    return row
