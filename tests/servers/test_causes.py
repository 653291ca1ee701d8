"""Whose fault it is that a comparison could not be made, or found a difference: told by real servers that fail."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import botocore.exceptions
import fsspec.config
import h5py
import numpy as np
import pytest
import requests
import s3fs
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from bucket_loader.causes import Cause, cause_of
from bucket_loader.children import tool
from bucket_loader.children.answer import Answer
from bucket_loader.children.answering import answered, open_source
from bucket_loader.children.supervise import Ending, Finished
from bucket_loader.hsds import Hsds, HsdsError, Unavailable
from bucket_loader.local.servers import free_port
from bucket_loader.verify import Domain, Trouble, verify
from bucket_loader.verify.__main__ import answer_of
from tests.attempts import Verdict, attempt
from tests.copies import BUCKET, PASSWORD, USER, VerifyServers
from tests.s3_proxy import proxy_before


@pytest.fixture(scope="module")
def large(verify_servers: VerifyServers, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A file of more blocks than are read to open it, and its domain."""
    path = tmp_path_factory.mktemp("causes") / "timeout-503.h5"
    with h5py.File(path, "w") as file:
        for number in range(4):
            file.create_dataset(f"503/{number}", data=np.arange(100_000) + number, chunks=(10_000,))
    return path, verify_servers.load(path, "ingest")


@pytest.mark.long
@pytest.mark.parametrize("when", ["at the start", "in the middle"])
@pytest.mark.parametrize(
    ("fault", "cause"), [("500", "away"), ("503", "busy"), ("cut", "away"), ("404", "file"), ("", None)]
)
def test_an_s3_that_fails_is_no_fault_of_the_file(
    verify_servers: VerifyServers,
    large: tuple[Path, str],
    fault: str,
    cause: Cause | None,
    when: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path, name = large
    with proxy_before(verify_servers.s3.endpoint) as (store, endpoint), closing(verify_servers.domain(name)) as domain:
        keys = {"key": verify_servers.s3.access_key, "secret": verify_servers.s3.secret_key}
        reads = {"default_block_size": 1 << 16, "default_cache_type": "blockcache"}
        monkeypatch.setitem(fsspec.config.conf, "s3", {"endpoint_url": endpoint} | keys | reads)
        s3fs.S3FileSystem.clear_instance_cache()

        def compare() -> Answer:
            with open_source(f"s3://src/{path.name}") as source:
                store.fault = fault
                return answer_of(verify(source, domain))

        store.fault = fault if when == "at the start" else ""
        answer = answered(None, compare)
    assert (answer.verdict, answer.cause) == (("trouble", cause) if cause else ("done", "file")), answer


@contextmanager
def answering(status: int) -> Iterator[str]:
    """An HSDS that has the same answer to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.parametrize(("status", "cause"), [(503, "busy"), (500, "away"), (404, "file"), (401, "file"), (0, "away")])
def test_an_hsds_that_fails_is_no_fault_of_the_file(large: tuple[Path, str], status: int, cause: Cause) -> None:
    with answering(status) as endpoint, h5py.File(large[0], "r") as source:
        where = endpoint if status else f"http://127.0.0.1:{free_port()}"
        domain = Domain(Hsds(where, USER, PASSWORD, BUCKET, patience=1, time_limit=1), "/home/admin/503.h5")
        answer = answered(None, lambda: answer_of(verify(source, domain)))
    assert (answer.verdict, answer.cause) == ("trouble", cause), answer


def from_(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (ValueError("503 Service Unavailable: timeout"), "file"),
        (KeyError("/detector/timeout"), "file"),
        (OSError(16, "Unable to open file (Connection refused)"), "file"),
        (requests.ConnectionError("x"), "away"),
        (from_(OSError("x"), botocore.exceptions.ClientError({"Error": {"Code": "SlowDown"}}, "GetObject")), "busy"),
        (botocore.exceptions.ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject"), "file"),
        (from_(from_(RuntimeError("x"), ValueError("y")), TimeoutError()), "away"),
        (MemoryError(), "memory"),
        (Unavailable("x"), "away"),
        (HsdsError("Connection refused"), "file"),
        (Trouble("x", "busy"), "busy"),
    ],
)
def test_the_cause_is_in_the_type_of_an_error_and_not_in_its_words(error: BaseException, cause: Cause) -> None:
    assert cause_of(error) == cause


WORDS = ["timeout", "503", "errno 503", "Service Unavailable", "Connection refused", "a\nERROR b", "too many 503 error"]
names = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=30), st.sampled_from(WORDS)
).filter(lambda name: name not in (".", ".."))


@settings(max_examples=25, derandomize=True, suppress_health_check=list(HealthCheck))
@given(name=names, attribute=names, text=names)
def test_a_difference_fails_a_check_whatever_names_and_values_a_file_has(
    verify_servers: VerifyServers,
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    attribute: str,
    text: str,
) -> None:
    """However HSDS spells a name: what is not the same is different, and that is not tried again."""
    path = tmp_path_factory.mktemp("any") / "any.h5"
    where = "/home/admin/any.h5"
    with h5py.File(path, "w") as file:
        file[name] = np.arange(503)
        file[name].attrs[attribute] = text
        file[name].attrs["503"] = 1
    with verify_servers.open(where, "w") as domain:
        try:
            domain[name] = np.arange(1, 504)
            domain[name].attrs[attribute] = text
        except (OSError, ValueError, TypeError, KeyError):
            assume(False)
    with closing(verify_servers.domain(where)) as copy, h5py.File(path, "r") as source:
        answer = answered(None, lambda: answer_of(verify(source, copy)))
    run = Finished(Ending.EXITED, 1, 1.0, [name, text], answer.to_json())
    judged = attempt(lambda: tool.answer_of(run))
    assert answer.verdict == "different", answer
    assert (judged.verdict, judged.busy) == (Verdict.BAD, False)
