#!/usr/bin/env python3
"""Loads the files of the inventory into HSDS: claims a row, runs hsload, makes sure, writes down what became of it."""

import sys
from collections.abc import Sequence

from bucket_loader import pod, start
from bucket_loader.jobs import LoadJob

EXAMPLES = """\
examples:
  loader.py                                   as in a pod: work until told to stop
  loader.py --drain --hsds_local=null         from anywhere: load what is there, then end
  loader.py --once --link_files=false         ingest the data of one file
"""


def main(argv: Sequence[str] | None = None) -> int:
    parser = start.parser("Load the files of the inventory into HSDS.", EXAMPLES)
    pod.add_options(parser)
    return start.run(parser, argv, lambda options, settings: pod.work(options, settings, LoadJob))


if __name__ == "__main__":
    sys.exit(main())
