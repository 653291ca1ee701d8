#!/usr/bin/env python3
"""Loads the files of the inventory into HSDS: claims a row, loads its file, proves the domain, notes the outcome."""

import sys
from collections.abc import Sequence

from bucket_loader.cli import run


def main(argv: Sequence[str] | None = None) -> int:
    return run("load", argv)


if __name__ == "__main__":
    sys.exit(main())
