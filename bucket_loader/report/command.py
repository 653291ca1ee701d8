"""Shows the inventory: a summary and rows, failures by reason, a page. Runs on a desktop; it writes nothing to HSDS."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import shtab
from rich.console import Console

from ..config import Config
from ..hsds import connect
from ..inventory.claims import Inventory
from ..program import Command
from ..progress import busy
from . import failures, page, rows, terminal
from .select import LABELS, SORTS, Selection, moment
from .select import rows as chosen_rows
from .several import Readable, Several
from .summary import summarize

EXAMPLES = """\
examples:
  %(prog)s --summary             counts, pace, time left, pods
  %(prog)s --watch               the same until all is done
  %(prog)s --failed              what went wrong, by reason
  %(prog)s --state load-failed   these rows, with their reasons
  %(prog)s --match 'climate/*' --since 2h --sort load --limit 20
  %(prog)s --json | jq .         one object per line, every column
  %(prog)s --csv > rows.csv      for a spreadsheet
  %(prog)s --html report.html    charts and a table to search
  %(prog)s --inventory /me/a.h5 --inventory /me/b.h5

With --watch, the exit status is 1 when all is done and some files failed.
"""


def add_options(made: argparse.ArgumentParser) -> None:
    how = made.add_argument_group("what to show", "without any of these: the summary, then the rows")
    one = how.add_mutually_exclusive_group()
    one.add_argument("--summary", action="store_true", help="counts per state, pace, time left and pods, no rows")
    one.add_argument("--watch", action="store_true", help="repaint the summary until every row is finished")
    one.add_argument("--failed", action="store_true", help="failures by reason, most frequent first")
    one.add_argument("--csv", action="store_true", help="rows as CSV, with a header")
    html = one.add_argument("--html", metavar="FILE", type=Path, help="write a page that needs no network")
    html.complete = shtab.FILE  # type: ignore[attr-defined]
    how.add_argument("--json", action="store_true", help="one JSON object per line (also with --failed)")
    which = made.add_argument_group("which rows")
    which.add_argument(
        "--inventory",
        metavar="DOMAIN",
        action="append",
        help="of this inventory, in the place of inventory_domain (repeatable: several as one)",
    )
    which.add_argument(
        "--state",
        metavar="STATE",
        choices=LABELS,
        action="append",
        help=f"only these (repeatable): {', '.join(LABELS)}",
    )
    which.add_argument("--match", metavar="GLOB", action="append", default=[], help="only keys like this (repeatable)")
    which.add_argument("--pod", metavar="GLOB", action="append", default=[], help="only what this pod did (repeatable)")
    which.add_argument("--since", metavar="WHEN", type=_moment, help="only what changed since: 2h ago, or 2026-11-20")
    which.add_argument("--sort", choices=SORTS, help="the largest, longest or latest first; names from A")
    which.add_argument("--reverse", action="store_true", help="the other way round (with --sort)")
    which.add_argument("--limit", metavar="N", type=_count, help="at most so many rows")


def _moment(text: str) -> int:
    try:
        return moment(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no number of rows")
    return int(text)


def dump(options: argparse.Namespace, settings: Config) -> int:
    if options.json and (options.summary or options.watch or options.csv or options.html):
        print("--json goes with rows and with --failed", file=sys.stderr)
        return 2
    domains = list(dict.fromkeys(options.inventory or [settings.inventory_domain]))
    opened = [Inventory.open(connect(settings), domain, any_columns=True) for domain in domains]
    inventory: Readable = Several(opened) if len(opened) > 1 else opened[0]
    title = domains[0] if len(domains) == 1 else f"{len(domains)} inventories"
    chosen = Selection(
        frozenset(LABELS[name] for name in options.state or LABELS),
        tuple(options.match),
        tuple(options.pod),
        options.since or 0,
        options.sort or "",
        options.reverse,
        options.limit,
    )
    if options.html:
        return _write_page(options.html, inventory, chosen, title)
    if options.failed:
        with busy("reading the inventory"):
            found = failures.groups(inventory, chosen)
        for line in failures.json_lines(found) if options.json else failures.lines(found):
            print(line)
    elif options.csv:
        rows.write_csv(chosen_rows(inventory, chosen), sys.stdout)
    elif options.json:
        for row in chosen_rows(inventory, chosen):
            print(rows.json_line(row))
    else:
        return _show(options, inventory, chosen, title)
    return 0


def _write_page(path: Path, inventory: Readable, chosen: Selection, title: str) -> int:
    try:
        with busy("reading the inventory"):
            said = page.write(path, inventory, chosen, title)
    except OSError as error:
        print(f"cannot write {path}: {error.strerror}", file=sys.stderr)
        return 1
    print(said)
    return 0


def _show(options: argparse.Namespace, inventory: Readable, chosen: Selection, title: str) -> int:
    """The summary, and below it the rows; the exit status. With --watch, it is shown until all is done."""
    console = Console()
    watched = terminal.watch(inventory, console, title) if options.watch else None
    with busy("reading the inventory"):
        summary = watched or summarize(inventory)
    console.print(terminal.summary_table(summary, title), crop=False)  # a key is shown whole
    if watched:
        return int(watched.failed > 0)
    if not options.summary:
        print()
        several = isinstance(inventory, Several)
        for line in rows.lines(chosen_rows(inventory, chosen), time.time(), terminal.painter(console), several):
            print(line)
    return 0


COMMAND = Command("Show the inventory.", EXAMPLES, add_options, dump, desktop=True)
