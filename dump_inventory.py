#!/usr/bin/env python3
"""Shows the inventory: summary, rows, failures, a page. Runs on a desktop, with HSDS_ENDPOINT set to the outside."""

import sys
from collections.abc import Sequence

from bucket_loader.cli import run


def main(argv: Sequence[str] | None = None) -> int:
    return run("dump", argv)


if __name__ == "__main__":
    sys.exit(main())
