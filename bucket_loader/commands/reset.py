"""Puts rows of the inventory back: failed ones, stuck ones, checks, or chosen keys. Says what, and asks, first."""

from __future__ import annotations

import argparse

from ..reset import reset
from . import Command

EXAMPLES = """\
examples:
  %(prog)s --failed --dry-run     what would be tried again
  %(prog)s --failed               try again what failed
  %(prog)s --stuck 60             give back what takes over an hour
  %(prog)s --checks --yes         check all that is loaded once more
  %(prog)s --key 'climate/*.h5'   load these again from nothing
"""


def add_options(made: argparse.ArgumentParser) -> None:
    which = made.add_argument_group("which rows", "several are added up")
    which.add_argument("--failed", action="store_true", help="loads and checks that failed")
    which.add_argument("--stuck", type=float, metavar="MINUTES", help="rows in work that began longer ago")
    which.add_argument("--checks", action="store_true", help="all checks: rows become loaded, to be checked again")
    which.add_argument("--key", action="append", default=[], metavar="PATTERN", help="keys like this; may be repeated")
    made.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    made.add_argument("--yes", action="store_true", help="do not ask")
    made.add_argument("--force", action="store_true", help="also rows that a worker holds at this moment")


COMMAND = Command("Put rows of the inventory back, to be worked on again.", EXAMPLES, add_options, reset, desktop=True)
