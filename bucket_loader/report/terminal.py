"""The summary in a terminal: a table, the pods, and a live view that repaints calmly. Plain text where it is piped."""

from __future__ import annotations

import time
from collections.abc import Iterator

from rich import box
from rich.color import ColorSystem
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.style import Style
from rich.table import Table
from rich.text import Text

from ..inventory.states import State
from ..log import printable
from .rows import Paint
from .select import SHOWABLE
from .several import Readable
from .summary import RECENT_SECONDS, Pace, Pod, Summary, summarize
from .words import amount, duration

STYLES = {
    State.VERIFIED: "green",
    State.LOADED: "blue",
    State.LOAD_FAILED: "red",
    State.CHECK_FAILED: "red",
    State.LOADING: "cyan",
    State.CHECKING: "cyan",
}
SHORTEST_PAUSE = 2.0  # between two repaints
READING_SHARE = 5  # a server that needs long for an answer is asked less often


def painter(console: Console) -> Paint:
    """Colours a state's word on a terminal, and leaves it as it is elsewhere."""
    if not console.is_terminal or console.no_color:
        return lambda _state, text: text
    styles = {state: Style.parse(name) for state, name in STYLES.items()}
    system = ColorSystem.STANDARD  # the colours are of the sixteen that every terminal has
    return lambda state, text: styles[state].render(text, color_system=system) if state in styles else text


def headline(summary: Summary) -> str:
    """One line: how many files, and what became of them."""
    counts = summary.counts
    parts = [
        (counts[State.VERIFIED], "verified"),
        (counts[State.LOADED], "loaded"),
        (summary.failed, "failed"),
        (summary.running, "running"),
        (counts[State.NEW], "waiting"),
    ]
    return f"{summary.rows:,} files, {amount(summary.bytes)}: " + ", ".join(
        f"{count:,} {word}" for count, word in parts if count or word in ("verified", "failed")
    )


def summary_table(summary: Summary, title: str) -> RenderableType:
    """The headline, files and bytes per state, the pace, the time left, and the pods."""
    table = Table(box=box.SIMPLE, title=title, title_justify="left", title_style="bold")
    for name in ("state", "files", "bytes", "share"):
        table.add_column(name, justify="left" if name == "state" else "right")
    for state in SHOWABLE:
        style = STYLES.get(state, "") if summary.counts[state] else "dim"
        share = f"{100 * summary.counts[state] / summary.rows:.1f} %" if summary.rows else "-"
        table.add_row(state.label, f"{summary.counts[state]:,}", amount(summary.sizes[state]), share, style=style)
    table.add_section()
    table.add_row("all", f"{summary.rows:,}", amount(summary.bytes), "", style="bold")
    parts: list[RenderableType] = [table, *(_line(words) for words in (headline(summary), *facts(summary)))]
    if summary.pods:
        parts += [Text(), *(line for pod in summary.pods for line in pod_lines(pod, summary.now))]
    return Group(*parts)


def facts(summary: Summary) -> Iterator[str]:
    """What can be said of pace and time left, and of what deserves a look, a line each."""
    for name, pace in (("loads", summary.loads), ("checks", summary.checks)):
        if pace.known:
            yield (
                f"{name}, last {duration(pace.seconds)}: {pace.per_hour:,.0f} files/h, "
                f"{amount(pace.bytes / pace.seconds)}/s{_left(pace)}"
            )
    if summary.retrying:
        yield f"{summary.retrying:,} files wait for another try"
    if summary.abandoned:
        yield f"{summary.abandoned:,} files in work have a silent worker; another one takes them (lease_time)"
    if summary.vanished:
        yield f"{summary.vanished:,} files are gone from the bucket; their domains stay"
    if summary.leftover:
        yield f"{amount(summary.leftover)} of replaced domains wait for their deletion (replaced_grace)"


def _left(pace: Pace) -> str:
    left = pace.left()
    if left is None:
        return ""
    least, most = (duration(seconds) for seconds in left)
    return f"; time left: {least}" if left[1] < left[0] * 1.2 else f"; time left: {least} to {most}"


def _line(words: str, whole: bool = True) -> Text:
    """One line, however long it is, or cut to the width of the terminal."""
    return Text(words, no_wrap=True, overflow="ignore" if whole else "ellipsis")


def pod_lines(pod: Pod, now: int, whole: bool = True) -> list[Text]:
    """What a pod did in the last minutes, and below it what it has in hand and for how long; cut to the terminal's
    width unless `whole`."""
    first = f"{printable(pod.name)}: {pod.good:,} done, {pod.failed:,} failed in {duration(RECENT_SECONDS)}"
    lines = [_line(first, whole)]
    for task in pod.tasks:
        again = f" (attempt {task.attempt})" if task.attempt > 1 else ""
        silent = " (silent)" if task.abandoned else f" ({printable(task.doing)})" if task.doing else ""
        doing = f"{duration(max(now - task.began, 0)):>9}  {task.work.name} {amount(task.size):>9}{again}{silent}"
        lines.append(_line(f"{doing}  {printable(task.key)}", whole))
    return lines


def live_view(summary: Summary, title: str, height: int) -> RenderableType:
    """Progress bars for loads and checks, the headline, the pace, and what is in work, as long as it fits."""
    bars = Table.grid(padding=(0, 2, 0, 0), expand=True)
    for ratio in (None, 1, None, None):
        bars.add_column(ratio=ratio, no_wrap=True)
    for name, left in (("loaded", summary.unloaded), ("checked", summary.unchecked)):
        done = summary.rows - left
        share = f"{100 * done // summary.rows} %" if summary.rows else "-"
        bar = ProgressBar(total=max(summary.rows, 1), completed=done)
        bars.add_row(name, bar, f"{done:,}/{summary.rows:,}", f"{share:>5}")
    words = [headline(summary), *facts(summary), ""]
    above = [Text(title, style="bold"), *(_line(line, whole=False) for line in words)]
    # two lines are the bars', one is the prompt's, one says what is not shown
    room, below, hidden = height - len(above) - 4, list[Text](), 0
    for pod in sorted(summary.pods, key=lambda pod: (not pod.tasks, min((one.began for one in pod.tasks), default=0))):
        lines = pod_lines(pod, summary.now, whole=False)
        if len(below) + len(lines) <= room and not hidden:
            below += lines
        else:
            hidden += 1
    if hidden:
        below.append(Text(f"and {hidden:,} more pods", style="dim"))
    return Group(above[0], bars, *above[1:], *below)


def watch(inventory: Readable, console: Console, title: str) -> Summary:
    """Show the summary until every row is finished: repainted on a terminal, else a line whenever it changed."""
    with Live(console=console, auto_refresh=False, transient=True) as live:
        said = ""
        while True:
            began = time.monotonic()
            summary = summarize(inventory)
            if console.is_terminal:
                live.update(live_view(summary, title, console.height), refresh=True)
            elif headline(summary) != said:
                said = headline(summary)
                console.print(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {said}", soft_wrap=True, highlight=False)
            if summary.finished:
                return summary
            time.sleep(max(SHORTEST_PAUSE, READING_SHARE * (time.monotonic() - began)))
