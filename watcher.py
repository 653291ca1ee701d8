#!/usr/bin/env python3
"""Keeps the inventory in step with the source bucket: new keys, new versions, keys that vanished."""

import sys
from collections.abc import Sequence

from bucket_loader.cli import run


def main(argv: Sequence[str] | None = None) -> int:
    return run("watch", argv)


if __name__ == "__main__":
    sys.exit(main())
