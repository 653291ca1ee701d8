"""Parallel PUTs and ranged GETs, with bounds on their number and on the bytes in memory; the first failure ends them
all.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

import obstore
from obstore.exceptions import BaseError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from ..children.answering import Fast

Result = TypeVar("Result")
Headers = Mapping[str, str]  # of an answer, whose names are found in small letters


@dataclass
class Traffic:
    """Requests made of a store, bytes in either direction, and repeated requests."""

    puts: int = 0
    gets: int = 0
    put_bytes: int = 0
    got_bytes: int = 0
    retries: int = 0


@dataclass(frozen=True)
class Version:
    """A version of an object: its size in bytes, its ETag as the store writes it, its time in epoch seconds."""

    size: int
    etag: str
    modified: int


class Transfers:
    """Runs transfers in `concurrency` threads; those that are not done yet hold `max_bytes` at most.

    One that is larger than that goes alone. Used as a context: its end waits for all transfers and raises what the
    first failure raised.
    """

    def __init__(
        self, client: S3Client, bucket: str, concurrency: int, max_bytes: int, fast: Fast | None = None
    ) -> None:
        """PUTs go to one bucket; all goes by `fast`, and by the client where that fails, or is not there."""
        self._client, self._bucket, self._fast, self._max_bytes = client, bucket, fast, max_bytes
        self._pool = ThreadPoolExecutor(concurrency, "transfer")
        self._changed = threading.Condition()
        self._held = self._pending = 0  # bytes, and transfers
        self._failure: BaseException | None = None
        self.traffic = Traffic()

    def __enter__(self) -> Transfers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=error is not None)
        if error is None and self._failure is not None:
            raise self._failure

    def run(self, size: int, work: Callable[[], None]) -> None:
        """Do some work soon that holds `size` bytes; waits for room. Raises what an earlier transfer raised."""
        with self._changed:
            self._changed.wait_for(lambda: self._failure or not self._held or self._held + size <= self._max_bytes)
            if self._failure is not None:
                raise self._failure
            self._held += size
            self._pending += 1
        self._pool.submit(work).add_done_callback(lambda done: self._done(size, done))

    def begin(self, work: Callable[[], Result]) -> Callable[[], Result]:
        """Begin some work beside the transfers; gives what waits for its result, or raises what it raised."""
        return self._pool.submit(work).result

    def _done(self, size: int, done: Future[None]) -> None:
        with self._changed:
            self._held -= size
            self._pending -= 1
            if not done.cancelled() and self._failure is None:
                self._failure = done.exception()
            self._changed.notify_all()

    @property
    def pending(self) -> int:
        """How many transfers are not done yet."""
        return self._pending

    @property
    def room(self) -> int:
        """How many bytes more may be held now."""
        return self._max_bytes - self._held

    def wait(self) -> None:
        """Return when all that was handed over is done. Raises what one of them raised."""
        with self._changed:
            self._changed.wait_for(lambda: self._failure or not self._pending)
            if self._failure is not None:
                raise self._failure

    def put_soon(self, key: str, body: bytes) -> None:
        self.run(len(body), lambda: self.put(key, body))

    def put(self, key: str, body: bytes | memoryview) -> None:
        """Raises botocore's errors."""
        # the client waits for a store that is busy, and its errors say what it answered
        retries = 0 if self._put_fast(key, body) else self._put_by_client(key, body)
        with self._changed:
            self.traffic.puts += 1
            self.traffic.put_bytes += len(body)
            self.traffic.retries += retries

    def _put_fast(self, key: str, body: bytes | memoryview) -> bool:
        """Whether it was put."""
        if self._fast is None:
            return False
        try:
            obstore.put(self._fast.puts, key, body, use_multipart=False)
        except (BaseError, OSError):
            with self._changed:
                self.traffic.retries += 1
            return False
        return True

    def _put_by_client(self, key: str, body: bytes | memoryview) -> int:
        """How many times it was tried again."""
        answer = self._client.put_object(Bucket=self._bucket, Key=key, Body=bytes(body))
        return answer["ResponseMetadata"].get("RetryAttempts", 0)

    def get(self, bucket: str, key: str, first: int, size: int, etag: str = "") -> bytes:
        """`size` bytes of an object from `first` on, of the version with this ETag.

        Raises OSError where there are fewer, and botocore's errors.
        """
        body, _ = self._get(bucket, key, first, size, etag)
        if len(body) != size:
            raise OSError(f"s3://{bucket}/{key} has {len(body)} bytes at {first} where its index says {size}")
        return body

    def get_begin(self, bucket: str, key: str, size: int) -> tuple[bytes, Version]:
        """The first `size` bytes of an object, or all, and the version that they are of. Raises botocore's errors."""
        return self._get(bucket, key, 0, size, "")

    def _get(self, bucket: str, key: str, first: int, size: int, etag: str) -> tuple[bytes, Version]:
        body, about = self._get_fast(bucket, key, first, size, etag) or self._get_by_client(
            bucket, key, first, size, etag
        )
        with self._changed:
            self.traffic.gets += 1
            self.traffic.got_bytes += len(body)
        total = about.get("content-range", "").rpartition("/")[2]
        whole = int(total) if total.isdigit() else len(body)
        modified = int(parsedate_to_datetime(about["last-modified"]).timestamp())
        return body, Version(whole, about.get("etag", ""), modified)

    def _get_fast(self, bucket: str, key: str, first: int, size: int, etag: str) -> tuple[bytes, Headers] | None:
        if self._fast is None or not self._fast.reads.works:
            return None
        answer = self._fast.reads.get(bucket, key, first, size, etag)
        if answer is None:
            with self._changed:
                self.traffic.retries += 1
        return answer

    def _get_by_client(self, bucket: str, key: str, first: int, size: int, etag: str) -> tuple[bytes, Headers]:
        about = {"IfMatch": etag} if etag else {}
        answer = self._client.get_object(Bucket=bucket, Key=key, Range=f"bytes={first}-{first + size - 1}", **about)  # type: ignore[arg-type]
        body, said = answer["Body"].read(), answer["ResponseMetadata"]
        with self._changed:
            self.traffic.retries += said.get("RetryAttempts", 0)
        return body, said["HTTPHeaders"]
