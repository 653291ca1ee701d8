"""The page's charts as SVG, each with a title, a description and the same numbers as a table. Markup escapes text.

They are drawn 420 units wide, so that their words can still be read on a phone. What belongs together has the same
colour and a form of its own, because not everybody tells the colours apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from ..inventory.states import State
from ..log import printable
from .history import History
from .words import amount, duration

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 420, 52, 8, 10, 24
NAMED = 118  # where a chart begins whose lines have names
BINS = 60
MOST_PODS = 32
FILES_PER_PEAK = 10  # what a point of the throughput is averaged over, at least
_SIZES = [0, *(4**power for power in range(5, 21))]  # bounds of the size classes, 1 KiB and up

Numbers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Chart:
    """A figure of the page. `note` says in words what the picture shows; `rows` are its numbers."""

    name: str
    title: str
    note: str
    svg: Markup
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


class Times:
    """The span of time of all charts, in bins, and where a moment is drawn."""

    def __init__(self, start: int, end: int) -> None:
        self.start, self.end = start, max(end, start + BINS)
        self.edges = np.linspace(self.start, self.end, BINS + 1).astype("f8")

    @property
    def bin_hours(self) -> float:
        return (self.end - self.start) / BINS / 3600

    def x(self, moment: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (moment - self.start) / (self.end - self.start)

    def word(self, moment: float) -> str:
        days = self.end - self.start > 20 * 3600
        return datetime.fromtimestamp(moment).strftime("%m-%d %H:%M" if days else "%H:%M:%S")

    def counts(self, moments: Numbers) -> Floats:
        """How many of the moments are in each bin."""
        return np.histogram(moments, self.edges)[0].astype("f8")

    def axis(self, height: int) -> Markup:
        made = Markup("")
        for share, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end")):
            moment = self.start + share * (self.end - self.start)
            made += Markup('<text x="{:.0f}" y="{}" text-anchor="{}">{}</text>').format(
                self.x(moment), height - 6, anchor, self.word(moment)
            )
        return made


def span(history: History, now: int) -> Times | None:
    """From the first load to the last event, or to now while something is left; None when nothing began."""
    began = history.began()
    if not began:
        return None
    ends = [history[name].max(initial=0) for name in ("loaddone", "diffdone")]
    left = np.isin(history.state, [State.NEW, State.LOADING, State.LOADED, State.CHECKING]).any()
    return Times(began, now if left else int(max(ends)) + 1)


def charts(history: History, now: int) -> list[Chart]:
    """All figures that there is something to draw for."""
    times = span(history, now)
    if times is None:
        return []
    made = [progress(history, times), pace(history, times), by_size(history), pods(history, times, now)]
    return [chart for chart in made if chart is not None]


def progress(history: History, times: Times) -> Chart:
    failed = np.isin(history.state, [State.LOAD_FAILED, State.CHECK_FAILED])
    ends = np.maximum(history["loaddone"], history["diffdone"])
    series = {
        "loaded": np.cumsum(times.counts(history["loaddone"][history.was_loaded()])),
        "verified": np.cumsum(times.counts(history["diffdone"][history.state == State.VERIFIED])),
        "failed": np.cumsum(times.counts(ends[failed])),
    }
    total = len(history.names)
    note = f"Of {total:,} files, " + ", ".join(f"{int(values[-1]):,} {name}" for name, values in series.items())
    return _over_time("progress", "Progress", f"{note}. A file that is loaded anew counts once.", series, times, total)


def pace(history: History, times: Times) -> Chart:
    ended = history["loaddone"][history.was_loaded() | (history.state == State.LOAD_FAILED)]
    checked = history["diffdone"][np.isin(history.state, [State.VERIFIED, State.CHECK_FAILED])]
    # of few files each would be a peak of its own
    width = int(np.clip(BINS * FILES_PER_PEAK // max(len(ended), 1), 1, BINS // 3))
    series = {
        "loaded": _averaged(times.counts(ended) / times.bin_hours, width),
        "verified": _averaged(times.counts(checked) / times.bin_hours, width),
    }
    top = max(float(values.max()) for values in series.values())
    note = (
        f"Loads up to {series['loaded'].max():,.0f}, checks up to {series['verified'].max():,.0f} files per hour, "
        f"averaged over {duration(width * times.bin_hours * 3600)}."
    )
    return _over_time("pace", "Throughput, files per hour", note, series, times, top)


def _averaged(values: Floats, width: int) -> Floats:
    """The mean of each bin and its neighbours, of those that there are at the ends."""
    ones = np.ones(width)
    return np.convolve(values, ones, "same") / np.convolve(np.ones(len(values)), ones, "same")


def _over_time(name: str, title: str, note: str, series: dict[str, Floats], times: Times, top: float) -> Chart:
    height = 220
    y = _scale(top, height)
    body = _grid(top, y, lambda value: f"{value:,.0f}") + times.axis(height)
    for number, (label, values) in enumerate(series.items()):
        points = " ".join(
            f"{times.x(edge):.1f},{y(value):.1f}" for edge, value in zip(times.edges[1:], values, strict=True)
        )
        first = f"{times.x(times.start):.1f},{y(0.0 if name == 'progress' else float(values[0])):.1f}"
        body += Markup('<polyline class="line {}" points="{} {}"/>').format(label, first, points)
        x = LEFT + 8 + number * 90
        body += Markup('<line class="line {}" x1="{}" x2="{}" y1="{}" y2="{}"/><text x="{}" y="{}">{}</text>').format(
            label, x, x + 18, TOP + 4, TOP + 4, x + 23, TOP + 8, _LEGEND.get((name, label), label)
        )
    rows = [
        [times.word(times.edges[index + 1]), *(f"{values[index]:,.0f}" for values in series.values())]
        for index in range(BINS - 1, -1, -6)
    ][::-1]
    header = ["until", *(_LEGEND.get((name, label), label) for label in series)]
    return Chart(name, title, note, _svg(name, title, note, height, body), header, rows)


_LEGEND = {("pace", "loaded"): "loads", ("pace", "verified"): "checks"}


class _LoadTimes(NamedTuple):
    """How long the loads of files of about one size took, in seconds, and at what pace, in bytes per second."""

    label: str
    loads: int
    low: float
    median: float
    high: float
    pace: float


def by_size(history: History) -> Chart | None:
    """How long loads take, by the size of the file: the middle one, and the range without the extremes."""
    times = _load_times(history)
    if not times:
        return None
    ends = [times[0]] if len(times) == 1 else [times[0], times[-1]]
    medians = ", ".join(f"{one.label}: {duration(one.median)}" for one in ends)
    note = f"The mark is the median load, the bar reaches from 5 % to 95 % of the loads. Median of {medians}."
    rows = [
        [
            one.label,
            f"{one.loads:,}",
            *(duration(seconds) for seconds in (one.low, one.median, one.high)),
            f"{amount(one.pace)}/s",
        ]
        for one in times
    ]
    title = "Load time by file size"
    header = ["size", "loads", "5 %", "median", "95 %", "per load"]
    height = TOP + 22 * len(times) + BOTTOM
    return Chart("sizes", title, note, _svg("sizes", title, note, height, _size_bars(times, height)), header, rows)


def _load_times(history: History) -> list[_LoadTimes]:
    """One for each class of sizes that has loads."""
    ended = history.was_loaded() & (history["loadstart"] > 0)
    took = np.maximum(history["loaddone"] - history["loadstart"], 0)[ended].astype("f8")
    size = history["size"][ended]
    classes = np.searchsorted(_SIZES, size, side="right") - 1
    found = []
    for one in np.unique(classes):
        here = took[classes == one]
        low, median, high = np.percentile(here, [5, 50, 95])
        pace = size[classes == one].sum() / max(here.sum(), 1.0)
        found.append(_LoadTimes(_size_class(int(one)), len(here), low, median, high, pace))
    return found


def _size_bars(times: list[_LoadTimes], height: int) -> Markup:
    """A bar with a mark for each."""
    most = max(1.0, *(one.high for one in times))

    def x(seconds: float) -> float:
        # many take a second, a few an hour: a linear scale would show the few alone
        return NAMED + (WIDTH - NAMED - 64) * float(np.log1p(seconds) / np.log1p(most))

    body = Markup("")
    for number, one in enumerate(times):
        y = TOP + 22 * number
        body += Markup(
            '<text x="{}" y="{}" text-anchor="end">{}</text>'
            '<rect class="range" x="{:.1f}" y="{}" width="{:.1f}" height="10"/>'
            '<rect class="middle" x="{:.1f}" y="{}" width="4" height="16"/>'
            '<text x="{:.1f}" y="{}">{}</text>'
        ).format(
            *(NAMED - 8, y + 13, one.label),
            *(x(one.low), y + 4, max(x(one.high) - x(one.low), 2)),
            *(x(one.median) - 2, y + 1),
            *(max(x(one.high), x(one.median)) + 7, y + 13, duration(one.median)),
        )
    words = "seconds, on a logarithmic scale; times are to the second"
    return body + Markup('<text x="{}" y="{}">{}</text>').format(LEFT, height - 6, words)


def _size_class(number: int) -> str:
    if number == 0:
        return f"under {amount(_SIZES[1])}".replace(".0", "")
    if number == len(_SIZES) - 1:
        return f"over {amount(_SIZES[-1])}".replace(".0", "")
    return f"{amount(_SIZES[number])} – {amount(_SIZES[number + 1])}".replace(".0", "")


@dataclass
class _PodWork:
    """How much of each bin a pod was at work, by the kind of work, and how often."""

    busy: dict[str, Floats] = field(default_factory=dict)
    ended: dict[str, int] = field(default_factory=dict)
    failed: int = 0

    @property
    def counts(self) -> tuple[int, int, int]:
        """Loads, checks, and those of both that failed."""
        return self.ended.get("load", 0), self.ended.get("check", 0), self.failed

    @property
    def busy_share(self) -> float:
        return float(np.minimum(sum(self.busy.values(), np.zeros(BINS)), 1).mean())


def pods(history: History, times: Times, now: int) -> Chart | None:
    """When each pod was at work, from the last load and the last check of each row."""
    work = _work_of_pods(history, times, now)
    if not work:
        return None
    hidden = f" The first {MOST_PODS} of {len(work)} are drawn." if len(work) > MOST_PODS else ""
    note = f"When each of {len(work)} pods was at work: the darker, the more of the time.{hidden}"
    rows = [[name, *map("{:,}".format, one.counts), f"{100 * one.busy_share:.0f} %"] for name, one in work]
    title = "Pods over time"
    header = ["pod", "loads", "checks", "failed", "busy"]
    shown = work[:MOST_PODS]
    height = TOP + 20 * len(shown) + BOTTOM + 4
    return Chart("pods", title, note, _svg("pods", title, note, height, _pod_lines(shown, times, height)), header, rows)


def _work_of_pods(history: History, times: Times, now: int) -> list[tuple[str, _PodWork]]:
    """Of each pod that did something, by name."""
    work: dict[int, _PodWork] = {}
    for kind, prefix, active, failed in (
        ("load", "load", State.LOADING, State.LOAD_FAILED),
        ("check", "diff", State.CHECKING, State.CHECK_FAILED),
    ):
        start, done, who = history[f"{prefix}start"], history[f"{prefix}done"], history[f"{prefix}podname"]
        end = np.where((done == 0) & (history.state == active), now, done)
        worked = (who > 0) & (start > 0) & (end >= start)
        for pod in np.unique(who[worked]).tolist():
            mine = worked & (who == pod)
            one = work.setdefault(pod, _PodWork())
            one.busy[kind] = _share(start[mine], end[mine], times)
            one.ended[kind] = int((mine & (done > 0)).sum())
            one.failed += int((mine & (history.state == failed)).sum())
    names = [printable(name) for name in history.pods.all]
    return sorted(((names[pod], one) for pod, one in work.items()), key=lambda pair: pair[0])


def _pod_lines(work: Sequence[tuple[str, _PodWork]], times: Times, height: int) -> Markup:
    """A line for each pod, with a block for each bin."""
    width = (WIDTH - NAMED - RIGHT) / BINS
    body = Markup("")
    for number, (name, one) in enumerate(work):
        y = TOP + 20 * number
        body += Markup('<text x="{}" y="{}" text-anchor="end">{}</text>').format(NAMED - 8, y + 12, _short(name))
        for kind, share in one.busy.items():
            for place in np.flatnonzero(share > 0):
                body += Markup(
                    '<rect class="{}" x="{:.1f}" y="{}" width="{:.2f}" height="14" fill-opacity="{:.2f}"/>'
                ).format(kind, NAMED + place * width, y + 1, width + 0.2, 0.25 + 0.75 * share[place])
    for moment, anchor, x in ((times.start, "start", NAMED), (times.end, "end", WIDTH - RIGHT)):
        body += Markup('<text x="{}" y="{}" text-anchor="{}">{}</text>').format(
            x, height - 6, anchor, times.word(moment)
        )
    return body


def _share(start: Numbers, end: Numbers, times: Times) -> Floats:
    """How much of each bin the spans fill, 0 to 1."""
    width = (times.end - times.start) / BINS
    filled = np.zeros(BINS)
    for index in range(BINS):
        low, high = times.edges[index], times.edges[index + 1]
        # a load of under a second starts and ends in the same one, and was still work
        filled[index] = np.clip(np.minimum(end + 0.5, high) - np.maximum(start, low), 0, None).sum() / width
    return np.minimum(filled, 1.0)


def _short(name: str) -> str:
    """The end of a pod's name, which tells it from the others."""
    return name if len(name) <= 16 else f"…{name[-15:]}"


def _scale(top: float, height: int) -> Callable[[float], float]:
    return lambda value: height - BOTTOM - (height - TOP - BOTTOM - 16) * float(value) / max(top, 1e-9)


def _grid(top: float, y: Callable[[float], float], word: Callable[[float], str]) -> Markup:
    made = Markup("")
    for share in (0.0, 0.5, 1.0):
        made += Markup(
            '<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>'
            '<text x="{}" y="{:.1f}" text-anchor="end">{}</text>'
        ).format(LEFT, WIDTH - RIGHT, y(share * top), y(share * top), LEFT - 5, y(share * top) + 4, word(share * top))
    return made


def _svg(name: str, title: str, note: str, height: int, body: Markup) -> Markup:
    return Markup(
        '<svg viewBox="0 0 {} {}" role="img" aria-labelledby="{}-title {}-note">'
        '<title id="{}-title">{}</title><desc id="{}-note">{}</desc>{}</svg>'
    ).format(WIDTH, height, name, name, name, title, name, note, body)
