"""Loads the files of the inventory into HSDS: claims a row, runs hsload, makes sure, writes down what became of it."""

from __future__ import annotations

import argparse

from .. import pod
from ..config import Config
from ..jobs import LoadJob
from . import Command

EXAMPLES = """\
examples:
  %(prog)s                               as in a pod, until told to stop
  %(prog)s --drain --hsds_local=null     load what is there, then end
  %(prog)s --once --link_files=false     ingest the data of one file
"""


def load(options: argparse.Namespace, settings: Config) -> int:
    return pod.work(options, settings, LoadJob)


COMMAND = Command("Load the files of the inventory into HSDS.", EXAMPLES, pod.add_options, load)
