"""Whether a process makes progress, and the HTTP endpoint that says so: /healthz, with /readyz and /metrics beside it.

A load may take hours. Signs of life come from what it waits for: each answer of a server, each slice of a child's run;
no step has to give them. A thread that shows none for `stuck_after` hangs: in a call without an end, in a lock. Nothing
but a restart helps it, and its row is no longer kept for it.
"""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import ThreadingMixIn
from types import FrameType
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from ..errors import OperatorError
from ..log import logger

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_HERE = str(Path(__file__).parent.parent)
_REQUEST_SECONDS = 10.0  # for a client to send its request


class PortTaken(OperatorError):
    """The configured port cannot be listened on."""


class Pulse:
    """The last signs of life of the threads that work."""

    def __init__(self, stuck_after: float) -> None:
        self._stuck_after = stuck_after
        self._signs: dict[int, tuple[str, float]] = {}  # by thread: its name, and until when it may be silent
        self._lock = threading.Lock()
        self.is_ready = False  # what the process waited for at its start was there

    def beat(self, rest: float = 0.0) -> None:
        """The calling thread makes progress, and will now pause for `rest` seconds."""
        thread = threading.current_thread()
        with self._lock:
            self._signs[threading.get_ident()] = thread.name, time.monotonic() + rest

    def end(self) -> None:
        """The calling thread has done its work: it is missed no more."""
        with self._lock:
            self._signs.pop(threading.get_ident(), None)

    def silence(self) -> float:
        """For how many seconds the most silent thread has shown no sign of life."""
        with self._lock:
            now = time.monotonic()
            return max([0.0, *(now - due for _, due in self._signs.values())])

    def silence_of(self, thread: int) -> float:
        """For how many seconds a thread has shown no sign of life; 0 for one that is not known."""
        with self._lock:
            now = time.monotonic()
            return max(0.0, now - self._signs.get(thread, ("", now))[1])

    def stuck(self) -> list[str]:
        """One line about each thread that hangs: which, for how long, where."""
        with self._lock:
            now = time.monotonic()
            silent = [(number, name, now - due) for number, (name, due) in self._signs.items()]
        return [
            f"{name} has made no progress for {seconds:.0f} s, {_place(number)}"
            for number, name, seconds in silent
            if seconds > self._stuck_after
        ]


def _place(thread: int) -> str:
    """Where a thread is: the innermost line of this package that it runs."""
    frame: FrameType | None = sys._current_frames().get(thread)
    if frame is None:
        return "it ended with an error"
    while frame is not None and not frame.f_code.co_filename.startswith(_HERE):
        frame = frame.f_back
    return f"in {Path(frame.f_code.co_filename).name}:{frame.f_lineno} {frame.f_code.co_name}" if frame else "outside"


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True  # a client that hangs does not keep the process
    # a pod has addresses of one family or of both
    address_family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


class _Handler(WSGIRequestHandler):
    timeout = _REQUEST_SECONDS

    def log_message(self, format: str, *args: object) -> None:
        """A probe every few seconds is no news."""


class _Endpoint:
    """What is answered, as a WSGI application."""

    def __init__(self, pulse: Pulse, registry: CollectorRegistry) -> None:
        self._pulse, self._metrics = pulse, make_wsgi_app(registry)
        self._said: set[str] = set()  # threads whose silence is in the log

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        match environ["PATH_INFO"]:
            case "/healthz":
                return self._health(start)
            case "/readyz" if self._pulse.is_ready:
                return _say(start, "200 OK", "ok")
            case "/readyz":
                return _say(start, "503 Service Unavailable", "waits for its servers; the log says for which")
            case "/metrics":
                page: Iterable[bytes] = self._metrics(environ, start)
                return page
        return _say(start, "404 Not Found", "there are /healthz, /readyz and /metrics")

    def _health(self, start: StartResponse) -> Iterable[bytes]:
        lines = self._pulse.stuck()
        for line in lines:
            thread = line.split(" has ")[0]
            if thread not in self._said:
                self._said.add(thread)
                logger.error("stuck: %s", line)
        return _say(start, "503 Service Unavailable" if lines else "200 OK", *lines or ["ok"])


def _say(start: StartResponse, status: str, *lines: str) -> Iterable[bytes]:
    start(status, [("Content-Type", "text/plain; charset=utf-8")])
    return ["".join(f"{line}\n" for line in lines).encode()]


@contextmanager
def served(port: int | None, pulse: Pulse, registry: CollectorRegistry) -> Iterator[int | None]:
    """Answer /healthz, /readyz and /metrics on a port meanwhile; without a port, nothing. Gives the port.

    /healthz is 200 as long as every thread that works shows signs of life, else 503 with a line for each that hangs.
    /readyz is 503 until the process has found its servers. Raises PortTaken.
    """
    if port is None:
        yield None
        return
    try:
        server = make_server("", port, _Endpoint(pulse, registry), _Server, _Handler)
    except OSError as error:
        raise PortTaken(
            f"metrics_port {port} cannot be listened on ({error.strerror}): set another one, or null for none"
        ) from error
    thread = threading.Thread(target=server.serve_forever, name="endpoint", daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
