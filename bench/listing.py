"""A bucket of any number of keys that exists as listings alone: pages of 1,000, as S3 gives them."""

from __future__ import annotations

import multiprocessing
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

PAGE = 1000
_ENTRY = (
    "<Contents><Key>data/2026/file-{0:09}.h5</Key><LastModified>2023-11-14T22:13:20.000Z</LastModified>"
    "<ETag>&quot;{1}&quot;</ETag><Size>100000</Size><StorageClass>STANDARD</StorageClass></Contents>"
)


def _page(first: int, keys: int) -> bytes:
    last = min(first + PAGE, keys)
    entries = "".join(_ENTRY.format(number, "0" * 32) for number in range(first, last))
    more = f"<NextContinuationToken>{last}</NextContinuationToken>" if last < keys else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<Name>source</Name><Prefix></Prefix><KeyCount>{last - first}</KeyCount><MaxKeys>{PAGE}</MaxKeys>"
        f"<IsTruncated>{str(last < keys).lower()}</IsTruncated>{more}{entries}</ListBucketResult>"
    ).encode()


def _serve(port: int, keys: int) -> None:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            token = parse_qs(urlsplit(self.path).query).get("continuation-token", ["0"])[0]
            body = _page(int(token), keys)
            self.send_response(200)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        server.serve_forever()


@contextmanager
def bucket_of(keys: int) -> Iterator[str]:
    """The endpoint of an S3 server whose every bucket lists so many keys, in a process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(port, keys), daemon=True)
    process.start()
    try:
        while True:
            with socket.socket() as probe:
                if not probe.connect_ex(("127.0.0.1", port)):
                    break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.join()
