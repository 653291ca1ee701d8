"""A proxy before an S3 server that counts the bytes of the bodies that it hands on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests

_OWN = ("transfer-encoding", "connection", "date", "server", "content-length")


class Counter(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    target = ""
    sent = 0

    def hand_on(self) -> None:
        kind = type(self)
        length = int(self.headers.get("Content-Length") or 0)
        answer = requests.request(
            self.command,
            kind.target + self.path,
            headers=dict(self.headers),
            data=self.rfile.read(length) if length else None,
            timeout=60,
        )
        self.send_response(answer.status_code)
        for name, value in answer.headers.items():
            if name.lower() not in _OWN:
                self.send_header(name, value)
        self.send_header("Content-Length", answer.headers.get("Content-Length", str(len(answer.content))))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.content)
            kind.sent += len(answer.content)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = hand_on

    def log_message(self, *_: object) -> None:
        return


@contextmanager
def counting(endpoint: str) -> Iterator[tuple[type[Counter], str]]:
    """The counter and the endpoint of a proxy before another one."""

    class Mine(Counter):
        target = endpoint

    with ThreadingHTTPServer(("127.0.0.1", 0), Mine) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield Mine, f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
