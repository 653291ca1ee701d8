"""Puts rows of the inventory back, by an operator's choice: failed ones, stuck ones, checks, or chosen keys.

It says what, and asks, first. A row that a worker holds is left alone unless that is forced.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from .. import progress
from ..config import Config
from ..log import printable
from ..program import Command
from .claims import Inventory, open_inventory
from .model import Row
from .states import ACTIVE, State

SHOWN = 20
EXAMPLES = """\
examples:
  %(prog)s --failed --dry-run     what would be tried again
  %(prog)s --failed               try again what failed
  %(prog)s --stuck 60             give back what takes over an hour
  %(prog)s --checks --yes         check all that is loaded once more
  %(prog)s --key 'climate/*.h5'   load these again from nothing
"""


@dataclass(frozen=True)
class Choice:
    """Which rows to put back; what is chosen is added up. `stuck` is in minutes."""

    failed: bool = False
    stuck: float | None = None
    checks: bool = False
    keys: tuple[str, ...] = ()

    def target(self, row: Row, now: float) -> State | None:
        """The state that a row is to be put back to; None when it is not chosen."""
        if any(fnmatchcase(row.filename, pattern) for pattern in self.keys):
            return State.NEW
        if self.failed and row.state is State.LOAD_FAILED:
            return State.NEW
        if self.failed and row.state is State.CHECK_FAILED:
            return State.LOADED
        if self.stuck is not None and row.state in ACTIVE:
            began = row.loadstart if row.state is State.LOADING else row.diffstart
            if now - began > self.stuck * 60:
                return State.NEW if row.state is State.LOADING else State.LOADED
        if self.checks and row.state in (State.VERIFIED, State.CHECK_FAILED, State.CHECKING):
            return State.LOADED
        return None


@dataclass(frozen=True)
class Change:
    row: Row
    target: State


def changes(
    inventory: Inventory, choice: Choice, force: bool, now: float | None = None
) -> tuple[list[Change], list[Row]]:
    """What a choice would change, and the chosen rows that a worker holds (which `force` adds to the former)."""
    now = time.time() if now is None else now
    wanted, held = [], []
    for row in progress.bar(inventory.rows(), "reading the inventory", inventory.count()):
        target = choice.target(row, now)
        if target is None or target is row.state:
            continue
        if row.state in ACTIVE and row.lease >= now and not force:
            held.append(row)
        else:
            wanted.append(Change(row, target))
    return wanted, held


def describe(wanted: Sequence[Change], held: Sequence[Row]) -> Iterator[str]:
    """What will be done, in a few lines."""
    for (before, after), count in Counter((change.row.state, change.target) for change in wanted).items():
        yield f"{count} rows: {before.label} -> {after.label}"
    for change in wanted[:SHOWN]:
        yield f"  {printable(change.row.filename)}"
    if len(wanted) > SHOWN:
        yield f"  … and {len(wanted) - SHOWN} more"
    if held:
        example = printable(held[0].filename)
        yield f"{len(held)} chosen rows are in work and are left alone (--force takes them): {example} …"
    if not wanted and not held:
        yield "no row is chosen by this"


def put_back(inventory: Inventory, wanted: Sequence[Change]) -> int:
    """Put rows back; returns how many. A row that has changed since it was chosen is left alone."""
    changes = progress.bar(wanted, "putting back", len(wanted))
    return sum(inventory.put_back(change.row, change.target) for change in changes)


def add_options(made: argparse.ArgumentParser) -> None:
    which = made.add_argument_group("which rows", "several are added up")
    which.add_argument("--failed", action="store_true", help="loads and checks that failed")
    which.add_argument("--stuck", type=float, metavar="MINUTES", help="rows in work that began longer ago")
    which.add_argument("--checks", action="store_true", help="all checks: rows become loaded, to be checked again")
    which.add_argument("--key", action="append", default=[], metavar="PATTERN", help="keys like this; may be repeated")
    made.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    made.add_argument("--yes", action="store_true", help="do not ask")
    made.add_argument("--force", action="store_true", help="also rows that a worker holds at this moment")


def reset(options: argparse.Namespace, settings: Config) -> int:
    """Say what the options choose, ask, and put it back; the exit status."""
    choice = Choice(options.failed, options.stuck, options.checks, tuple(options.key))
    if choice == Choice():
        print("nothing chosen: give --failed, --stuck, --checks or --key (see --help)", file=sys.stderr)
        return 2
    inventory = open_inventory(settings)
    wanted, held = changes(inventory, choice, options.force)
    for line in describe(wanted, held):
        print(line)
    if held and not wanted:
        return 1
    if options.dry_run or not wanted:
        return 0
    if not options.yes and not _agreed(f"put back {len(wanted)} rows? [y/N] "):
        print("nothing was done")
        return 1
    done = put_back(inventory, wanted)
    print(
        f"{done} rows put back"
        + (f", {len(wanted) - done} changed meanwhile and were left" if done < len(wanted) else "")
    )
    return 0


def _agreed(question: str) -> bool:
    try:
        return input(question).strip().lower() in ("y", "yes")
    except EOFError:
        return False


COMMAND = Command("Put rows of the inventory back, to be worked on again.", EXAMPLES, add_options, reset, desktop=True)
