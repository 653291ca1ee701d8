"""A TCP proxy before a real server. It can lose an answer (the request is done), hold a request back or delay it, give
another answer, or one that never ends: a byte now and then keeps every time limit of a client from running out."""

from __future__ import annotations

import select
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


class LossyProxy(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target_port = port
        self.lose: list[bytes] = []  # answers to requests that start so are lost, one each
        self.lost = 0
        self.heads: list[bytes] = []  # what came of each request first: its head
        self.hold: Callable[[bytes], bool] = lambda _: False  # which part of a request to hold back, once
        self.held, self.let_go = threading.Event(), threading.Event()
        self.dripping = threading.Event()
        self.delay: Callable[[bytes], float] = lambda _: 0.0  # for how many seconds to keep a request before it goes on
        self.instead: Callable[[bytes], bytes] = lambda _: b""  # the body of a 200 that is given in place of the answer

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(socketserver.BaseRequestHandler):
    server: LossyProxy

    def handle(self) -> None:
        with socket.create_connection(("127.0.0.1", self.server.target_port)) as target, suppress(OSError):
            lose = False
            # else a head waits 40 ms for its body, and a load of many requests is ten times as slow as without a proxy
            for side in (self.request, target):
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while True:
                ready, _, _ = select.select([self.request, target], [], [], 0.2)
                if self.request in ready:
                    request = self.request.recv(1 << 20)
                    if not request:
                        return
                    if self.server.dripping.is_set():
                        return self._drip()
                    if b" HTTP/1.1\r\n" in request:
                        self.server.heads.append(request)
                    for start in list(self.server.lose):
                        if request.startswith(start):
                            self.server.lose.remove(start)
                            lose = True
                            break
                    if not self.server.held.is_set() and self.server.hold(request):
                        self.server.held.set()
                        self.server.let_go.wait(30)
                    time.sleep(self.server.delay(request))
                    if body := self.server.instead(request):
                        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
                        return self.request.sendall(head.encode() + body)
                    target.sendall(request)
                if target in ready:
                    answer = target.recv(1 << 20)
                    if not answer:
                        return
                    if lose:
                        self.server.lost += 1
                        return  # closes the client's connection: its answer is gone
                    self.request.sendall(answer)

    def _drip(self) -> None:
        self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while self.server.dripping.wait(0.2):
            self.request.sendall(b" ")
            time.sleep(0.2)


@contextmanager
def lossy(port: int) -> Iterator[LossyProxy]:
    with LossyProxy(port) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            thread.join()
