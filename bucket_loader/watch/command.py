"""Keeps the inventory in step with the source bucket: new keys, new versions, keys that vanished."""

from __future__ import annotations

import argparse

from ..pod import process
from ..program import Command

EXAMPLES = """\
examples:
  %(prog)s          as in a pod: scan again and again until told to stop
  %(prog)s --once   one scan
"""


def add_options(made: argparse.ArgumentParser) -> None:
    made.add_argument("--once", action="store_true", help="make one scan, then end")


COMMAND = Command("Add the files of the source bucket to the inventory.", EXAMPLES, add_options, process.watch)
