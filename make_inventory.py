#!/usr/bin/env python3
"""Makes the inventory: an HSDS domain with an empty table. Runs on a desktop, with HSDS_ENDPOINT set to the outside."""

import sys
from collections.abc import Sequence

from bucket_loader.cli import run


def main(argv: Sequence[str] | None = None) -> int:
    return run("make", argv)


if __name__ == "__main__":
    sys.exit(main())
