"""A proxy before the real S3 server: it counts what is read, and can fail, be slow, take nothing, or cut bodies off."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests

from tests.world import World

_CODES = {"500": "InternalError", "503": "SlowDown", "404": "NoSuchBucket", "403": "ExpiredToken"}


class S3Proxy(BaseHTTPRequestHandler):
    """Hands requests on to the real S3 server, unless a fault is on."""

    protocol_version = "HTTP/1.1"
    fault = ""
    hit = 0  # how many requests met the fault
    sent = 0  # bytes of bodies that were handed on
    target = ""
    delay: Callable[[str, str], float] = staticmethod(
        lambda method, path: 0.0
    )  # for how many seconds to keep a request

    refused: Callable[[str, str], bool] = staticmethod(lambda method, path: False)  # whether a request gets a 403

    def handle_request(self) -> None:
        kind = type(self)
        time.sleep(kind.delay(self.command, self.path))
        refused = kind.refused(self.command, self.path)
        if refused or kind.fault in _CODES:
            kind.hit += 1
            status, code = ("403", "AccessDenied") if refused else (kind.fault, _CODES[kind.fault])
            body = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{code}</Message></Error>'.encode()
            self.send_response(int(status))
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)
            return
        length = int(self.headers.get("Content-Length") or 0)
        sent = self.rfile.read(length) if length else None
        while kind.fault == "stall" and length > 50_000:  # data; HSDS waits for its small objects before it answers
            time.sleep(0.1)
        answer = requests.request(
            self.command, kind.target + self.path, headers=dict(self.headers), data=sent, timeout=30
        )
        self.send_response(answer.status_code)
        for name, value in answer.headers.items():
            if name.lower() not in ("transfer-encoding", "connection", "date", "server", "content-length"):
                self.send_header(name, value)
        size = answer.headers.get("Content-Length", str(len(answer.content)))
        self.send_header("Content-Length", size)
        self.end_headers()
        if self.command == "HEAD":
            return
        body = answer.content
        kind.sent += len(body)
        if kind.fault == "slow":
            kind.hit += 1
            time.sleep(1.5)
        if kind.fault == "cut" and len(body) > 200:
            kind.hit += 1
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
            return
        self.wfile.write(body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_request

    def handle(self) -> None:
        with suppress(ConnectionError):  # a client that no longer wanted to wait
            super().handle()

    def log_message(self, *_: object) -> None:
        return


def s3_proxy(world: World) -> AbstractContextManager[tuple[type[S3Proxy], str]]:
    return proxy_before(world.servers.s3.endpoint)


@contextmanager
def proxy_before(endpoint: str) -> Iterator[tuple[type[S3Proxy], str]]:
    """The handler and the endpoint of a proxy before an S3 server."""

    class Handler(S3Proxy):
        target = endpoint

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
        thread.start()
        try:
            yield Handler, f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


def kill_in_switch(world: World, script: str, key: str, *arguments: str) -> None:
    """Kill a program between the two steps of a switch: the old version is out of HSDS, the new one not yet there."""
    domain, reached, killed = world.folder + key, threading.Event(), threading.Event()

    def refused(method: str, path: str) -> bool:
        if method != "PUT" or not path.endswith(f"{domain}/.domain.json"):
            return False
        reached.set()
        return killed.wait(60)

    with s3_proxy(world) as (store, gateway):
        store.refused = staticmethod(refused)
        # nobody asks HSDS for it meanwhile: its answer would be the old one, from its cache
        with world.running(script, *arguments, env={"AWS_S3_GATEWAY": gateway}) as process:
            assert reached.wait(60), "there was no switch"
            process.kill()
        killed.set()
    assert world.cluster.root_of(domain) is None
