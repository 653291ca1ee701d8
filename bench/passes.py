"""Passes of the watcher over a bucket of many keys, against the listing alone. Run as a process, for its own memory.

python -m bench.passes ENDPOINT INVENTORY HSDS     prints one JSON object
"""

from __future__ import annotations

import json
import resource
import sys
import time
from statistics import median

from bench.stage import PASSWORD, USER
from bucket_loader.config import from_arguments
from bucket_loader.hsds import Hsds
from bucket_loader.inventory.claims import Inventory
from bucket_loader.s3 import Source
from bucket_loader.watch.known_keys import COLUMNS
from bucket_loader.watch.watcher import Watcher


def main() -> None:
    endpoint, domain, hsds = sys.argv[1:]
    settings = from_arguments(
        [
            "--src_bucket=source",
            "--src_suffix=null",
            "--tgt_folder=/home/admin/",
            f"--inventory_domain={domain}",
            f"--hsds_endpoint={hsds}",
            f"--aws_s3_gateway={endpoint}",
        ]
    )
    source = Source(settings)
    inventory = Inventory.open(Hsds(hsds, USER, PASSWORD), domain)
    watcher = Watcher(source, inventory, settings.domains)
    began = time.monotonic()
    known = sum(len(block) for _, block in inventory.stream(COLUMNS))
    reading = time.monotonic() - began
    began = time.monotonic()
    first = watcher.scan()
    # the pass reads the table once more
    adding = time.monotonic() - began - reading
    result = {"reading": reading, "adding": adding, "added": first.added, "rows": known + first.added}
    watcher.scan()  # what was added is settled now
    listing, scans = [], []
    for _ in range(3):
        began = time.monotonic()
        keys = sum(len(page) for page in source.list_pages())
        listing.append(time.monotonic() - began)
        began = time.monotonic()
        assert watcher.scan().news == 0
        scans.append(time.monotonic() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps(result | {"keys": keys, "listing": median(listing), "pass": median(scans), "peak": peak}))


if __name__ == "__main__":
    main()
