"""A node of HSDS that listens on 127.0.0.1 alone.

    python -m bucket_loader.local.hsds_node datanode|servicenode OPTIONS…

HSDS gives its HTTP server a port and no host, so that a node listens on every interface, and a data node asks for no
password: from another host, anybody could delete domains. In a pod a network policy keeps others away; on a person's
machine nothing does. The options are those of hsds-datanode and hsds-servicenode.
"""

from __future__ import annotations

import importlib
import sys
from functools import partial
from typing import Any

HOST = "127.0.0.1"
NODES = ("datanode", "servicenode")


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1] not in NODES:
        sys.exit(f"usage: python -m {__package__}.hsds_node {'|'.join(NODES)} OPTIONS")
    # HSDS reads the rest when it is imported
    node: Any = importlib.import_module(f"hsds.{sys.argv.pop(1)}")
    node.run_app = partial(node.run_app, host=HOST)
    node.main()


if __name__ == "__main__":
    main()
