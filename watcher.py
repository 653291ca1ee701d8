#!/usr/bin/env python3
"""Keeps the inventory in step with the source bucket: new keys, new versions, keys that vanished."""

import sys
from collections.abc import Sequence

from bucket_loader import pod, start

EXAMPLES = """\
examples:
  watcher.py              as in a pod: scan the bucket again and again until told to stop
  watcher.py --once       one scan
"""


def main(argv: Sequence[str] | None = None) -> int:
    parser = start.parser("Add the files of the source bucket to the inventory.", EXAMPLES)
    parser.add_argument("--once", action="store_true", help="make one scan, then end")
    return start.run(parser, argv, pod.watch)


if __name__ == "__main__":
    sys.exit(main())
