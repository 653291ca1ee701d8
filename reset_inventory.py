#!/usr/bin/env python3
"""Puts rows of the inventory back: failed ones, stuck ones, checks, or chosen keys. Says what, and asks, first."""

import sys
from collections.abc import Sequence

from bucket_loader import start
from bucket_loader.reset import reset

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


if __name__ == "__main__":
    sys.exit(main())
