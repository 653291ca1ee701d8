"""Checks loaded domains against their source files, and writes down the verdict."""

from __future__ import annotations

import argparse

from ..config import Config
from ..pod import process
from ..pod.jobs import CheckJob
from ..program import Command

EXAMPLES = """\
examples:
  %(prog)s                               as in a pod, until told to stop
  %(prog)s --drain --hsds_local=null     check what is loaded now, then end
"""


def diff(options: argparse.Namespace, settings: Config) -> int:
    return process.work(options, settings, CheckJob)


COMMAND = Command(
    "Check the loaded domains of the inventory against their source files.", EXAMPLES, process.add_options, diff
)
