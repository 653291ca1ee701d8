#!/usr/bin/env python3
"""Puts rows of the inventory back: failed ones, stuck ones, checks, or chosen keys. Says what, and asks, first."""

import argparse
import sys
from collections.abc import Sequence

from bucket_loader import start
from bucket_loader.config import Config
from bucket_loader.reset import Choice, changes, describe, put_back

EXAMPLES = """\
examples:
  reset_inventory.py --failed --dry-run         what would be tried again
  reset_inventory.py --failed                   load, or check, again what failed
  reset_inventory.py --stuck 60                 give back what has been in work for an hour without an end
  reset_inventory.py --checks --yes             check everything that is loaded once more
  reset_inventory.py --key 'climate/*.h5'       load these again from nothing
"""


def main(argv: Sequence[str] | None = None) -> int:
    parser = start.parser("Put rows of the inventory back, to be worked on again.", EXAMPLES)
    which = parser.add_argument_group("which rows", "several are added up")
    which.add_argument("--failed", action="store_true", help="loads and checks that failed")
    which.add_argument("--stuck", type=float, metavar="MINUTES", help="rows in work that began longer ago")
    which.add_argument("--checks", action="store_true", help="all checks: rows become loaded, to be checked again")
    which.add_argument("--key", action="append", default=[], metavar="PATTERN", help="keys like this; may be repeated")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--force", action="store_true", help="also rows that a worker holds at this moment")
    return start.run(parser, argv, reset, desktop=True)


def reset(options: argparse.Namespace, settings: Config) -> int:
    choice = Choice(options.failed, options.stuck, options.checks, tuple(options.key))
    if choice == Choice():
        print("nothing chosen: give --failed, --stuck, --checks or --key (see --help)", file=sys.stderr)
        return 2
    inventory = start.open_inventory(start.connect(settings), settings)
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


if __name__ == "__main__":
    sys.exit(main())
