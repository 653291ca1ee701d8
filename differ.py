#!/usr/bin/env python3
"""Checks loaded domains against their source files, and writes down the verdict."""

import sys
from collections.abc import Sequence

from bucket_loader.cli import run


def main(argv: Sequence[str] | None = None) -> int:
    return run("diff", argv)


if __name__ == "__main__":
    sys.exit(main())
