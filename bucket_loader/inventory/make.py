"""Makes the inventory: an HSDS domain with an empty table. Runs on a desktop, with HSDS_ENDPOINT set to the outside."""

from __future__ import annotations

import argparse

from ..config import Config
from ..hsds import connect
from ..program import Command
from .claims import Inventory

EXAMPLES = """\
examples:
  %(prog)s           as config.yml says
  %(prog)s --force   replace the one that is there

  from outside of the cluster:
  HSDS_ENDPOINT=https://hsds.example.org %(prog)s
"""


def add_options(made: argparse.ArgumentParser) -> None:
    made.add_argument("--force", action="store_true", help="replace an inventory that is there")


def make(options: argparse.Namespace, settings: Config) -> int:
    hsds = connect(settings)
    hsds.expect_ready()
    domain = settings.inventory_domain
    if options.force and hsds.root_of(domain):
        rows = Inventory.open(hsds, domain, any_columns=True).count()
        print(f"replacing {domain}: {rows} rows go")
    Inventory.create(hsds, domain, settings.public_read, replace_old=options.force)
    print(f"made {domain} on {hsds.endpoint}, readable by {settings.readers} (public_read)")
    for doubt in settings.doubts():
        print(f"note: {doubt}")
    if not hsds.exists(settings.tgt_folder):
        print(
            f"the folder {settings.tgt_folder} is missing: make it with 'hstouch {settings.tgt_folder}' before you load"
        )
    print("next: start the watcher (kubectl apply -f k8s_watch_deployment.yml)")
    return 0


COMMAND = Command("Make the inventory, an empty table in an HSDS domain.", EXAMPLES, add_options, make, desktop=True)
