"""What dump_inventory shows."""

from __future__ import annotations

import json

import pytest

from bucket_loader import report
from bucket_loader.inventory import Outcome, Row
from bucket_loader.report import Summary
from bucket_loader.source import SourceObject
from bucket_loader.states import LOAD, State
from tests.world import World


def row(name: str = "a.h5", state: State = State.LOADED, **columns: object) -> Row:
    values: dict[str, object] = dict.fromkeys(
        ("loadstart", "loaddone", "loadstatus", "diffstart", "diffdone", "diffstatus"), 0
    )
    values |= dict.fromkeys(("loadpodname", "diffpodname", "diffresult"), "")
    return Row(index=0, filename=name, state=state, **(values | columns))  # type: ignore[arg-type]


def test_times_have_their_zone() -> None:
    shown = report.when(1_700_000_000)
    assert shown[10] == "T" and shown[-6] in "+-"
    assert report.when(0) == "-"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (59.9, "59s"), (61, "1m 01s"), (3600, "1h 00m"), (90061, "25h 01m")]
)
def test_durations(seconds: float, text: str) -> None:
    assert report.duration(seconds) == text


@pytest.mark.parametrize(("size", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 * 1024**4, "5.0 TiB")])
def test_amounts(size: int, text: str) -> None:
    assert report.amount(size) == text


def test_a_row_as_text() -> None:
    shown = list(
        report.lines([row("größe\n\x1b[31m.h5", loadstart=100, loaddone=172, loadpodname="pod-7", loadstatus=0)])
    )
    assert "größe\\n\\x1b[31m.h5  [loaded]" in shown
    load = next(line for line in shown if line.startswith("\tload\t1970") or line.startswith("\tload\t1969"))
    assert load.split("\t")[4:7] == ["1m 12s", "0", "pod-7"]
    assert shown[-1] == "1 rows"


def test_a_row_as_json_has_every_column_and_the_state_by_name() -> None:
    shown = json.loads(report.json_line(row("ü.h5", State.LOAD_FAILED, loadreason="no")))
    assert (shown["filename"], shown["state"], shown["loadreason"]) == ("ü.h5", "load failed", "no")
    assert set(shown) == set(Row.__dataclass_fields__)


def test_no_time_left_is_told_before_it_can_be_known() -> None:
    summary = Summary(rows=10, now=1000, began=900)
    summary.counts[State.NEW] = 8
    summary.loads = [950, 990]
    assert summary.left() is None
    assert report.rates(summary) == []


def test_time_left_is_that_of_the_slower_work() -> None:
    summary = Summary(rows=20, now=1000, began=900)
    summary.counts[State.NEW] = 10
    summary.loads, summary.checks = [950] * 10, [960] * 5
    assert summary.left() == pytest.approx(10 / (5 / 100))
    assert report.rates(summary)[-1] == "time left at this rate: about 3m 20s"


def test_all_done_has_no_time_left() -> None:
    summary = Summary(rows=1, now=1000, began=900)
    summary.counts[State.VERIFIED] = 1
    assert summary.finished and summary.left() is None


def test_the_summary_of_a_real_inventory(world: World) -> None:
    inventory = world.make_inventory()
    inventory.append([SourceObject(f"{number}.h5", 1024, "e", 1) for number in range(4)], ["", "", "", "a bad key"])
    held = inventory.claim(LOAD, "pod", 60)
    assert held is not None
    inventory.finish(held, Outcome(State.LOADED))
    inventory.claim(LOAD, "pod", 60)
    summary = report.summarize(inventory)
    assert (summary.rows, summary.bytes) == (4, 4096)
    counted = {state: count for state, count in summary.counts.items() if count}
    assert counted == {State.NEW: 1, State.LOADING: 1, State.LOADED: 1, State.LOAD_FAILED: 1}
    assert (summary.unloaded, summary.unchecked, summary.finished) == (2, 3, False)
    assert len(summary.loads) == 1
