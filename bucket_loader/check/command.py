"""Checks loaded domains against their source files, and writes down the verdict."""

from __future__ import annotations

import argparse
import logging

from ..config import Config
from ..log import event
from ..pod import process
from ..program import Command
from .job import CheckJob

EXAMPLES = """\
examples:
  %(prog)s                               as in a pod, until told to stop
  %(prog)s --drain --hsds_local=null     check what is loaded now, then end
"""


def diff(options: argparse.Namespace, settings: Config) -> int:
    if settings.working_endpoint == settings.hsds_endpoint:
        hint = "one that loads nothing, in hsds_local, proves more: what loaded a file answers from memory"
        event(logging.WARNING, "checks by the HSDS of hsds_endpoint", hint=hint)
    return process.work(options, settings, CheckJob)


COMMAND = Command(
    "Check the loaded domains of the inventory against their source files.", EXAMPLES, process.add_options, diff
)
