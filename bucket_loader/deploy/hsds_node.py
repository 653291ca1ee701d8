"""A node of HSDS that its own machine or pod alone can reach, of whatever version this interpreter has.

    python -m bucket_loader.deploy.hsds_node datanode|servicenode [--host=ADDRESS] OPTIONS…

HSDS gives its HTTP server a port and no host, so that a node listens on every interface, and a data node asks for no
password: from another host, or another pod where no network policy is enforced, anybody could delete domains. The
other options are those of hsds-datanode and hsds-servicenode.

It can be run as a file, too: the interpreter of another version's environment has HSDS and not this package.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
from functools import partial
from types import ModuleType
from typing import Any

from aiohttp import web_urldispatcher

HOST = "127.0.0.1"
NODES = ("datanode", "servicenode")


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1] not in NODES:
        sys.exit(f"usage: hsds_node {'|'.join(NODES)} [--host=ADDRESS] OPTIONS")
    # this folder has modules that are named like others
    sys.path.pop(0)
    prepare()
    kind, host = sys.argv.pop(1), HOST
    if sys.argv[1:] and sys.argv[1].startswith("--host="):
        host = sys.argv.pop(1).partition("=")[2]
    # HSDS reads the rest when it is imported
    node: Any = importlib.import_module(f"hsds.{kind}")
    node.run_app = partial(node.run_app, host=host)
    node.main()


def prepare() -> None:
    """Let HSDS work with a Python and an aiohttp that are newer than it, and without what has no wheels for them."""
    asyncio.set_event_loop(asyncio.new_event_loop())  # from Python 3.14 on, nothing makes one by itself
    try:
        importlib.import_module("bitshuffle")
    except ImportError:
        sys.modules["bitshuffle"] = ModuleType("bitshuffle")  # a chunk of this filter is answered with 500
    blosc: Any = importlib.import_module("numcodecs.blosc")
    if not hasattr(blosc, "cbuffer_metainfo"):
        blosc.cbuffer_metainfo = blosc._cbuffer_metainfo  # its name from 0.16 on
    # aiohttp 3.9, which HSDS 0.9 asks for, matched a path before it was decoded; later ones do it afterwards, and an
    # object or attribute with { or } in its name is "404 Not Found"
    web_urldispatcher.DynamicResource.GOOD = "[^/]+"


if __name__ == "__main__":
    main()
