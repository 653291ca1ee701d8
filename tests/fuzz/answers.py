"""Servers before or instead of HSDS, whose answers are damaged."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

import requests

Damage = Callable[["Answer"], "Answer"]


@dataclass(frozen=True)
class Answer:
    """Of a server: status, body, and the length that it announces (None: that of the body)."""

    status: int
    body: bytes
    kind: str = "application/json"
    length: int | None = None

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def saying(self, item: Any) -> Answer:
        return replace(self, body=json.dumps(item).encode())


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def made_of(self, real: str) -> Answer:
        """The answer of a real server."""
        headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
        found = requests.request(self.method, real + self.path, headers=headers, data=self.body, timeout=60)
        return Answer(found.status_code, found.content, found.headers["Content-Type"])


@dataclass
class Spoiling:
    """A server that hands on what a real one answers, spoilt."""

    real: str
    damage: Callable[[Request, Answer], Answer]
    endpoint: str = ""

    def answer(self, request: Request) -> Answer:
        return self.damage(request, request.made_of(self.real))


@dataclass
class Replay:
    """Answers by request. Those that are not there yet are asked of the real server, as long as there is one.

    One of them is damaged.
    """

    real: str = ""
    answers: dict[str, Answer] = field(default_factory=dict)
    damaged: str = ""  # the request whose answer is damaged
    damage: Damage = lambda answer: answer
    endpoint: str = ""
    asked: set[str] = field(default_factory=set)

    def answer(self, request: Request) -> Answer:
        name = request_name(request.path)
        if request.method == "POST":
            name += f" {request.body.decode()}"
        self.asked.add(name)
        if name not in self.answers:
            if not self.real:
                return Answer(404, b"{}")
            self.answers[name] = request.made_of(self.real)
        answer = self.answers[name]
        return self.damage(answer) if name == self.damaged else answer


def request_name(path: str) -> str:
    """A request without the order of its parameters."""
    parts = urlsplit(path)
    return f"{parts.path}?{sorted(parse_qsl(parts.query, keep_blank_values=True))}"


Speaker = TypeVar("Speaker", Spoiling, Replay)


@contextmanager
def served(speaker: Speaker) -> Iterator[Speaker]:
    """Serve on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one packet: the second of two would wait for the first one's receipt

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer = speaker.answer(Request(self.command, self.path, dict(self.headers), body))
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.kind)
            length = len(answer.body) if answer.length is None else answer.length
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(answer.body)
            self.close_connection = self.close_connection or length != len(answer.body)

        do_PUT = do_POST = do_DELETE = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        speaker.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield speaker
        finally:
            server.shutdown()
            thread.join()


# -- damage of JSON ---------------------------------------------------------------------------------------------------

# what a reader of a domain has to be told right; the rest is how it is stored, when it was made, where to ask more
_MATERIAL = {
    "attributes", "links", "title", "class", "h5path", "h5domain", "name", "value", "encoding", "shape", "dims",
    "maxdims", "creationProperties", "fillValue", "fillValue_encoding",
}  # fmt: skip
_OF_A_TYPE = {"class", "base", "fields", "name", "type", "length", "charSet", "strPad", "dims", "size", "tag", "id"}
STRANGE: list[Any] = [
    None, True, 0, -1, 1, 2**31, 2**63, 1.5, float("nan"), "", "x", "H5T_STD_I4LE", "Traceback\n503", "../../",
    "d-00000000-00000000-0000-000000-000000", [], [[]], ["a", 1], [1, 2, 3], {}, {"class": None},
]  # fmt: skip


def places(item: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of each value in a JSON document, the whole first."""
    yield path
    parts = item.items() if isinstance(item, dict) else enumerate(item) if isinstance(item, list) else ()
    for key, value in parts:
        yield from places(value, (*path, key))


def changed(item: Any, path: tuple[Any, ...], make: Callable[[Any], Any]) -> Any:
    """A document with another value at a path; `GONE` removes it."""
    if not path:
        return make(item)
    copy = dict(item) if isinstance(item, dict) else list(item)
    new = changed(copy[path[0]], path[1:], make)
    if new is GONE:
        del copy[path[0]]
    else:
        copy[path[0]] = new
    return copy


GONE = object()


def material(item: Any, keys: set[str] = _MATERIAL) -> Any:
    """A document without what does not matter."""
    if isinstance(item, list):
        return [material(value, keys) for value in item]
    if not isinstance(item, dict):
        return repr(item)
    if item.get("class") == "H5T_REFERENCE":
        return (item["class"], item.get("base"))
    found = {key: material(value, keys) for key, value in item.items() if key in keys}
    if "type" in item and keys is _MATERIAL:
        found["type"] = material(item["type"], _OF_A_TYPE)
    if "mapping" in item:
        found["mapping"] = repr(sorted(item["mapping"].items()))
    if "title" in item:
        found["id"] = item.get("id")  # of what a link leads to
    if "dims" in item and found.get("maxdims") == found["dims"]:
        del found["maxdims"]  # where there is none, the extents are the limits
    return {key: value for key, value in found.items() if value != _default(key)}


def _default(key: str) -> Any:
    return {"strPad": repr("H5T_STR_NULLPAD"), "creationProperties": {}}.get(key)
