"""Counts, pace, time left and pods."""

from __future__ import annotations

import pytest
from rich.console import Console

from bucket_loader.inventory.states import CHECK, LOAD, State
from bucket_loader.report import terminal
from bucket_loader.report.summary import Pace, Pod, Summary, Task


def shown(summary: Summary, width: int = 80) -> list[str]:
    console = Console(width=width, force_terminal=False)
    with console.capture() as capture:
        console.print(terminal.summary_table(summary, "/home/x/inventory.h5"), crop=False)
    return capture.get().splitlines()


@pytest.mark.parametrize(
    ("pace", "left"),
    [
        # too few, too short, nothing left, nothing done
        (Pace(LOAD, files=9, since=0, now=100, files_left=9, bytes=4, bytes_left=9), None),
        (Pace(LOAD, files=50, since=90, now=100, files_left=9, bytes=4, bytes_left=9), None),
        (Pace(LOAD, files=50, since=0, now=100, files_left=0), None),
        (Pace(LOAD, now=100, files_left=9), None),
        # 50 files of 500 bytes in 100 s; 10 files left that are larger
        (Pace(LOAD, files=50, bytes=500, since=0, now=100, files_left=10, bytes_left=400), (20, 80)),
        # what is left is tiny: it still takes a load's time
        (Pace(LOAD, files=50, bytes=500, since=0, now=100, files_left=3, bytes_left=1), (2, 6)),
        # no longer than the window
        (Pace(LOAD, files=60, bytes=60, since=0, now=9000, files_left=6, bytes_left=6), (60, 60)),
    ],
)
def test_time_left_is_told_when_it_means_something(pace: Pace, left: tuple[float, float] | None) -> None:
    assert pace.left() == (pytest.approx(left) if left else None)


def test_what_is_said_of_the_pace() -> None:
    summary = Summary(now=100, rows=20)
    summary.loads = Pace(LOAD, files=50, bytes=50 * 1024, since=0, now=100, files_left=10, bytes_left=40 * 1024)
    summary.checks = Pace(CHECK, files=2, since=0, now=100, files_left=10)
    assert list(terminal.facts(summary)) == ["loads, last 1m 40s: 1,800 files/h, 512 B/s; time left: 20s to 1m 20s"]


def test_the_summary_fits_80_columns_and_is_plain_when_piped() -> None:
    summary = Summary(now=1000, rows=200_000, bytes=5 * 1024**4)
    summary.counts[State.VERIFIED] = 199_000
    key = "climate/" + "long/" * 30 + "file.h5"
    pod = "hsds-bucket-loader-7d9c6f8b5d-x2x4q"
    summary.pods = [Pod(pod, [Task(pod, LOAD, key, 5 * 1024**3, 100, 2, False)], good=12)]
    lines = shown(summary)
    assert "\x1b" not in "".join(lines)
    assert [line for line in lines if len(line) > 80] == [f"  15m 00s  load   5.0 GiB (attempt 2)  {key}"]
    assert f"{pod}: 12 done, 0 failed in 10m 00s" in lines


def test_the_live_view_fits_the_terminal() -> None:
    summary = Summary(now=1000, rows=100)
    summary.counts[State.NEW] = 50
    for number in range(40):
        task = Task(f"pod-{number}", LOAD, f"{number}.h5", 1, 900 + number, 1, False)
        summary.pods.append(Pod(f"pod-{number}", [task]))
    console = Console(width=80, height=24, force_terminal=True)
    with console.capture() as capture:
        console.print(terminal.live_view(summary, "/home/x/inventory.h5", 24))
    text = capture.get()
    assert len(text.splitlines()) <= 24
    assert "pod-0:" in text and "pod-39" not in text, "the longest in work come first"
    assert "and 32 more pods" in text, text
