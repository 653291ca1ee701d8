"""Rows as text, JSON and CSV."""

from __future__ import annotations

import json

from bucket_loader.inventory.model import Row
from bucket_loader.inventory.states import State
from bucket_loader.report import rows


def row(name: str = "a.h5", state: State = State.LOADED, **columns: object) -> Row:
    values: dict[str, object] = dict.fromkeys(
        ("loadstart", "loaddone", "loadstatus", "diffstart", "diffdone", "diffstatus"), 0
    )
    values |= dict.fromkeys(("loadpodname", "diffpodname", "diffresult"), "")
    return Row(index=0, filename=name, state=state, **(values | columns))  # type: ignore[arg-type]


def test_a_line_a_row_with_the_key_whole_at_its_end() -> None:
    shown = list(rows.lines([row("größe\n\x1b[31m.h5", loadstart=100, loaddone=172, size=2048)], now=200))
    assert shown[0].split()[:4] == ["state", "size", "load", "check"]
    assert shown[1].startswith("loaded          2.0 KiB   1m 12s        -  19")
    assert shown[1].endswith("  größe\\n\\x1b[31m.h5")
    assert shown[2] == "1 rows"


def test_what_is_wrong_stands_below() -> None:
    found = [
        row("bad.h5", State.LOAD_FAILED, loadreason="no HDF5", loadattempts=3, loadpodname="pod-1"),
        row("diff.h5", State.CHECK_FAILED, diffresult="/a: 1 != 2", diffattempts=1, diffpodname="pod-2"),
        row("busy.h5", State.LOADING, loadstart=100, loadpodname="pod-3", loadattempts=2, lease=500),
        row("dead.h5", State.CHECKING, diffstart=100, diffpodname="pod-4", lease=140),
        row("again.h5", State.NEW, loadreason="503", notbefore=260),
        row("gone.h5", State.VERIFIED, vanished=50),
    ]
    notes = [line.strip() for line in rows.lines(found, now=200) if line.startswith(" " * 13)]
    assert notes[:6] == [
        "no HDF5  (attempt 3, pod-1)",
        "/a: 1 != 2  (attempt 1, pod-2)",
        "in work at pod-3, attempt 2",
        "in work at pod-4",
        "its worker is silent: the lease is over since 1m 00s, another one takes it",
        "tried again in 1m 00s: 503",
    ]
    assert notes[6].startswith("source gone since 19")
    assert any("1m 40s…" in line for line in rows.lines(found, now=200))


def test_json_has_every_column_and_the_state_by_name() -> None:
    shown = json.loads(rows.json_line(row("ü.h5", State.LOAD_FAILED, loadreason="no")))
    assert (shown["filename"], shown["state"], shown["loadreason"]) == ("ü.h5", "load failed", "no")
    assert set(shown) == set(Row.__dataclass_fields__)
