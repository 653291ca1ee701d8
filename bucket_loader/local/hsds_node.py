"""A node of HSDS that listens on 127.0.0.1 alone, of whatever version this interpreter has.

    python hsds_node.py datanode|servicenode OPTIONS…

HSDS gives its HTTP server a port and no host, so that a node listens on every interface, and a data node asks for no
password: from another host, anybody could delete domains. In a pod a network policy keeps others away; on a person's
machine nothing does. The options are those of hsds-datanode and hsds-servicenode.

Run as a file: the interpreter of another version's environment has HSDS and not this package.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
from functools import partial
from types import ModuleType
from typing import Any

HOST = "127.0.0.1"
NODES = ("datanode", "servicenode")


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1] not in NODES:
        sys.exit(f"usage: hsds_node.py {'|'.join(NODES)} OPTIONS")
    # this folder has modules that are named like others
    sys.path.pop(0)
    supply_missing()
    # HSDS reads the rest when it is imported
    node: Any = importlib.import_module(f"hsds.{sys.argv.pop(1)}")
    node.run_app = partial(node.run_app, host=HOST)
    node.main()


def supply_missing() -> None:
    """Let HSDS start on a Python that is newer than it, and for which libraries that it imports have no wheels."""
    asyncio.set_event_loop(asyncio.new_event_loop())  # from Python 3.14 on, nothing makes one by itself
    try:
        importlib.import_module("bitshuffle")
    except ImportError:
        sys.modules["bitshuffle"] = ModuleType("bitshuffle")  # a chunk of this filter is answered with 500
    blosc: Any = importlib.import_module("numcodecs.blosc")
    if not hasattr(blosc, "cbuffer_metainfo"):
        blosc.cbuffer_metainfo = blosc._cbuffer_metainfo  # its name from 0.16 on


if __name__ == "__main__":
    main()
