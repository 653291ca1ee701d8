#!/usr/bin/env python3
"""Puts rows of the inventory back: failed ones, stuck ones, checks, or chosen keys. Says what, and asks, first."""

import sys
from collections.abc import Sequence

from bucket_loader.cli import run


def main(argv: Sequence[str] | None = None) -> int:
    return run("reset", argv)


if __name__ == "__main__":
    sys.exit(main())
