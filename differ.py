#!/usr/bin/env python3
"""Checks loaded domains against their source files with hsdiff, and writes down the verdict."""

import sys
from collections.abc import Sequence

from bucket_loader import pod, start
from bucket_loader.jobs import CheckJob

EXAMPLES = """\
examples:
  differ.py                                   as in a pod: check what is loaded until told to stop
  differ.py --drain --hsds_local=null         from anywhere: check what is loaded now, then end
"""


def main(argv: Sequence[str] | None = None) -> int:
    parser = start.parser("Check the loaded domains of the inventory against their source files.", EXAMPLES)
    pod.add_options(parser)
    return start.run(parser, argv, lambda options, settings: pod.work(options, settings, CheckJob))


if __name__ == "__main__":
    sys.exit(main())
