#!/usr/bin/env python3
"""Makes the inventory: an HSDS domain with an empty table. Runs on a desktop, with HSDS_ENDPOINT set to the outside."""

import argparse
import sys
from collections.abc import Sequence

from bucket_loader import start
from bucket_loader.config import Config
from bucket_loader.inventory import Inventory

EXAMPLES = """\
examples:
  make_inventory.py                                        as config.yml says
  HSDS_ENDPOINT=https://hsds.example.org make_inventory.py from outside of the cluster
  make_inventory.py --force                                replace the one that is there
"""


def main(argv: Sequence[str] | None = None) -> int:
    parser = start.parser("Make the inventory, an empty table in an HSDS domain.", EXAMPLES)
    parser.add_argument("--force", action="store_true", help="replace an inventory that is there")
    return start.run(parser, argv, make, desktop=True)


def make(options: argparse.Namespace, settings: Config) -> int:
    hsds = start.connect(settings)
    hsds.expect_ready()
    domain = settings.inventory_domain
    if options.force and hsds.root_of(domain):
        rows = Inventory.open(hsds, domain, any_columns=True).count()
        print(f"replacing {domain}: {rows} rows go")
    Inventory.create(hsds, domain, settings.public_read, replace_old=options.force)
    print(f"made {domain} on {hsds.endpoint}{', readable by everyone' if settings.public_read else ''}")
    if not hsds.exists(settings.tgt_folder):
        print(
            f"the folder {settings.tgt_folder} is missing: make it with 'hstouch {settings.tgt_folder}' before you load"
        )
    print("next: start the watcher (kubectl apply -f k8s_watch_deployment.yml)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
