"""A node of HSDS that its own machine or pod alone can reach, of whatever version this interpreter has.

    python -m bucket_loader.deploy.hsds_node datanode|servicenode [--host=ADDRESS] [--new-clients] OPTIONS…

HSDS gives its HTTP server a port and no host, so that a node listens on every interface, and a data node asks for no
password: from another host, or another pod where no network policy is enforced, anybody could delete domains. The
other options are those of hsds-datanode and hsds-servicenode.

It keeps its clients of S3, too, where HSDS makes one for each call; with --new-clients it is as HSDS has it.

It can be run as a file, too: the interpreter of another version's environment has HSDS and not this package.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any

from aiobotocore.session import AioSession
from aiohttp import web_urldispatcher

HOST = "127.0.0.1"
NEW_CLIENTS = "--new-clients"
NODES = ("datanode", "servicenode")


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1] not in NODES:
        sys.exit(f"usage: hsds_node {'|'.join(NODES)} [--host=ADDRESS] [{NEW_CLIENTS}] OPTIONS")
    # this folder has modules that are named like others
    sys.path.pop(0)
    prepare()
    kind, host = sys.argv.pop(1), HOST
    if sys.argv[1:] and sys.argv[1].startswith("--host="):
        host = sys.argv.pop(1).partition("=")[2]
    keeps_clients = sys.argv[1:2] != [NEW_CLIENTS]
    if not keeps_clients:
        sys.argv.pop(1)
    # HSDS reads the rest when it is imported
    node: Any = importlib.import_module(f"hsds.{kind}")
    node.run_app = partial(node.run_app, host=host)
    if keeps_clients:
        storage: Any = importlib.import_module("hsds.util.s3Client")
        storage.get_session = KeptClients
    node.main()


class KeptClients(AioSession):  # type: ignore[misc]
    """A session that makes one client for all calls with the same credentials and endpoint.

    To make one takes 15 to 40 ms of CPU, which was two thirds of what a data node did, and a new connection.
    """

    def __init__(self) -> None:
        super().__init__()
        self._kept: dict[tuple[object, ...], _KeptClient] = {}

    def create_client(self, service_name: str, **settings: Any) -> _KeptClient:
        # the configuration is the same for all of them
        of = (service_name, *sorted((name, str(value)) for name, value in settings.items() if name != "config"))
        if of not in self._kept:
            # credentials that have run out do not come again; calls that still use their client have it
            self._kept = {of: _KeptClient(partial(super().create_client, service_name, **settings))}
        return self._kept[of]


class _KeptClient:
    """A client that stays open when its `async with` ends, for the next one."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make, self._lock = make, asyncio.Lock()
        self._context: Any = None
        self._client: Any = None

    async def __aenter__(self) -> Any:
        async with self._lock:
            if self._client is None:
                self._context = self._make()
                self._client = await self._context.__aenter__()
        return self._client

    async def __aexit__(self, *_: object) -> None:
        """It is closed with its process."""


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
