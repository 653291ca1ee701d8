"""A server that is far away: what is sent to it arrives later, in the same order."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit


@contextmanager
def far(endpoint: str, seconds: float) -> Iterator[str]:
    """An endpoint that hands everything on, to the server `seconds` later: each request takes so much longer."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(_serve(endpoint, seconds), loop).result()
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        asyncio.run_coroutine_threadsafe(_stop(server), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


async def _serve(endpoint: str, seconds: float) -> asyncio.Server:
    address = urlsplit(endpoint)
    connections = set[object]()  # asyncio itself does not keep what nobody refers to

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.add(task := asyncio.current_task())
        there, back = await asyncio.open_connection(address.hostname, address.port)
        await asyncio.gather(_hand_on(reader, back, seconds), _hand_on(there, writer, 0.0))
        connections.discard(task)

    return await asyncio.start_server(connected, "127.0.0.1", 0)


async def _stop(server: asyncio.Server) -> None:
    server.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def _hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    with suppress(ConnectionError):
        while data := await reader.read(1 << 18):
            loop.call_later(seconds, writer.write, data)
    loop.call_later(seconds, writer.close)
