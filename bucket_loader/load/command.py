"""Loads the files of the inventory into HSDS: claims a row, loads its file, proves the domain, notes the outcome."""

from __future__ import annotations

import argparse

from ..config import Config
from ..pod import process
from ..program import Command
from .job import LoadJob

EXAMPLES = """\
examples:
  %(prog)s                               as in a pod, until told to stop
  %(prog)s --drain --hsds_local=null     load what is there, then end
  %(prog)s --once --link_files=false     ingest the data of one file
"""


def load(options: argparse.Namespace, settings: Config) -> int:
    return process.work(options, settings, LoadJob)


COMMAND = Command("Load the files of the inventory into HSDS.", EXAMPLES, process.add_options, load)
