"""Transfers hold so many bytes at once, and the first failure ends them all."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import botocore.exceptions
import pytest
from botocore.config import Config as ClientConfig

from bucket_loader.children.answering import fast_of_environment
from bucket_loader.children.signed_reads import SignedReads
from bucket_loader.storage.transfers import Transfers, Version


class Store:
    """A client that takes its time, and counts what it holds."""

    def __init__(self, fails_at: int = -1) -> None:
        self.held = self.most = self.count = 0
        self._fails_at, self._lock = fails_at, threading.Lock()

    def put_object(self, Body: bytes, **_: Any) -> dict[str, Any]:
        with self._lock:
            self.held += len(Body)
            self.count += 1
            self.most = max(self.most, self.held)
            number = self.count
        time.sleep(0.002)
        with self._lock:
            self.held -= len(Body)
        if number == self._fails_at:
            raise OSError("the store is full")
        return {"ResponseMetadata": {"RetryAttempts": 1}}


def test_no_more_bytes_are_held_than_allowed() -> None:
    store = Store()
    with Transfers(store, "b", 8, 1000) as transfers:  # type: ignore[arg-type]
        for number in range(100):
            transfers.put_soon(str(number), bytes(300))
    assert store.count == 100 and store.most <= 1000
    assert (transfers.traffic.puts, transfers.traffic.put_bytes, transfers.traffic.retries) == (100, 30_000, 100)


def test_what_is_larger_than_all_goes_alone() -> None:
    store = Store()
    with Transfers(store, "b", 8, 1000) as transfers:  # type: ignore[arg-type]
        for size in (500, 5000, 500):
            transfers.put_soon("k", bytes(size))
        transfers.wait()
        assert store.count == 3 and store.most == 5000


def test_a_failure_is_raised_to_who_hands_over_more_and_at_the_end() -> None:
    store = Store(fails_at=3)
    with pytest.raises(OSError, match="the store is full"), Transfers(store, "b", 2, 1000) as transfers:  # type: ignore[arg-type]
        for number in range(1000):
            transfers.put_soon(str(number), bytes(100))
    assert store.count < 100
    store = Store(fails_at=1)
    with pytest.raises(OSError, match="the store is full"), Transfers(store, "b", 2, 1000) as transfers:  # type: ignore[arg-type]
        transfers.put_soon("k", b"")


class _Answers(BaseHTTPRequestHandler):
    """A store that answers with these statuses first, and then takes everything."""

    statuses: list[int]
    taken: list[tuple[str, bytes]]
    asked: list[str]  # signed in the "address" or the "header"
    knows_ranges = True
    seconds = 0.0  # before an answer

    def do_GET(self) -> None:
        self.asked.append("address" if "X-Amz-Signature" in self.path else "header")
        time.sleep(self.seconds)
        status = self.statuses.pop(0) if self.statuses else 206
        first, last = map(int, self.headers["Range"].removeprefix("bytes=").split("-"))
        whole = bytes(range(200))
        body = (whole[first : last + 1] if self.knows_ranges else whole) if status < 300 else b""
        self.send_response(status)
        if self.knows_ranges:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(whole)}")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", self.headers.get("If-Match", '"1"'))
        self.send_header("Last-Modified", "Mon, 30 Nov 2026 09:05:42 GMT")
        self.end_headers()
        self.wfile.write(body)

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = self.statuses.pop(0) if self.statuses else 200
        if status == 200:
            self.taken.append((self.path, body))
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.send_header("ETag", '"0"')
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[_Answers]]:
    answers = type("Answers", (_Answers,), {"statuses": [], "taken": [], "asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        settings = {"endpoint_url": f"http://127.0.0.1:{server.server_port}", "key": "k", "secret": "s"}
        monkeypatch.setenv("FSSPEC_S3", json.dumps(settings))
        yield answers
        server.shutdown()
        thread.join()


def transfers_to(store: type[_Answers]) -> Transfers:
    fast = fast_of_environment("b", 2)
    assert fast is not None
    client = boto3.client(
        "s3",
        endpoint_url=fast.puts.config["endpoint"],
        region_name="us-east-1",
        aws_access_key_id="k",
        aws_secret_access_key="s",
        config=ClientConfig(retries={"mode": "standard", "max_attempts": 3}, s3={"addressing_style": "path"}),
    )
    return Transfers(client, "b", 2, 1000, fast)


@pytest.mark.slow
@pytest.mark.parametrize(("statuses", "retries"), [([], 0), ([503], 1), ([500, 503, 503], 3), ([404], 1)])
def test_what_the_fast_way_cannot_put_goes_by_the_client(
    store: type[_Answers], statuses: list[int], retries: int
) -> None:
    store.statuses.extend(statuses)
    with transfers_to(store) as transfers:
        transfers.put("db/a?b#c.json", b"body")
    assert [body.partition(b"\r\n")[0] and path for path, body in store.taken] == ["/b/db/a%3Fb%23c.json"]
    assert (transfers.traffic.puts, transfers.traffic.put_bytes, transfers.traffic.retries) == (1, 4, retries)


@pytest.mark.slow
def test_a_refusal_has_the_words_of_the_client(store: type[_Answers]) -> None:
    store.statuses.extend([403, 403])
    with pytest.raises(botocore.exceptions.ClientError, match="403"), transfers_to(store) as transfers:
        transfers.put("key", b"body")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("statuses", "asked"),
    [
        ([], ["address", "address"]),
        ([200], ["address", "address"]),  # as some stores say of a part
        ([503], ["address", "header", "address"]),
        ([403], ["address", "header", "header"]),  # it knows no signed addresses, and is not asked for one again
        ([301], ["address", "header", "address"]),
    ],
)
def test_what_a_signed_address_does_not_give_comes_by_the_client(
    store: type[_Answers], statuses: list[int], asked: list[str]
) -> None:
    store.statuses.extend(statuses)
    with transfers_to(store) as transfers:
        assert transfers.get("b", "key", 10, 5, '"tag"') == bytes(range(10, 15))
        begin, version = transfers.get_begin("b", "key", 3)
    assert (begin, version) == (bytes(range(3)), Version(200, '"1"', 1796029542))
    assert store.asked == asked
    assert (transfers.traffic.gets, transfers.traffic.got_bytes, transfers.traffic.retries) == (2, 8, len(asked) - 2)


def test_a_store_that_knows_no_ranges_is_not_read_whole_by_a_signed_address(store: type[_Answers]) -> None:
    store.knows_ranges = False
    with transfers_to(store) as transfers, pytest.raises(OSError, match="has 200 bytes at 10 where its index says 5"):
        transfers.get("b", "key", 10, 5)
    assert store.asked == ["address", "header"]


@pytest.mark.slow
def test_a_signed_address_is_waited_for_as_long_as_the_client_waits(store: type[_Answers]) -> None:
    store.seconds = 1.0
    fast = fast_of_environment("b", 2)
    assert fast is not None
    for seconds, answered in ((0.2, False), (20, True)):
        options = ClientConfig(read_timeout=seconds, signature_version="s3v4")
        endpoint = fast.puts.config["endpoint"]
        client = boto3.client(
            "s3", "us-east-1", endpoint_url=endpoint, aws_access_key_id="k", aws_secret_access_key="s", config=options
        )
        assert (SignedReads(client).get("b", "key", 10, 5, "") is not None) is answered


@pytest.mark.slow
def test_another_version_is_refused_in_the_words_of_the_client(store: type[_Answers]) -> None:
    store.statuses.extend([412, 412])
    with pytest.raises(botocore.exceptions.ClientError, match="412"), transfers_to(store) as transfers:
        transfers.get("b", "key", 10, 5, '"tag"')
    assert store.asked == ["address", "header"]


@pytest.mark.parametrize(
    ("settings", "variables"),
    [
        ({}, {}),
        ({"endpoint_url": "http://127.0.0.1:9"}, {}),
        ({"endpoint_url": "http://127.0.0.1:9", "anon": True}, {}),
        ({"endpoint_url": "https://127.0.0.1:9", "key": "k", "secret": "s"}, {"AWS_CA_BUNDLE": "/own.pem"}),
    ],
)
def test_the_client_alone_knows_other_keys_and_certificates(
    settings: dict[str, object], variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    for name, value in ({"FSSPEC_S3": json.dumps(settings)} | variables).items():
        monkeypatch.setenv(name, value)
    assert fast_of_environment("b", 2) is None


def test_temporary_keys_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    settings = {"endpoint_url": "https://127.0.0.1:9", "key": "k", "secret": "s", "token": "t"}
    monkeypatch.setenv("FSSPEC_S3", json.dumps(settings))
    fast = fast_of_environment("b", 2)
    assert fast is not None and fast.puts.config["session_token"] == "t"
    assert fast.puts.config["unsigned_payload"], "over TLS, as boto3 does"
