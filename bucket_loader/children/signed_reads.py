"""Ranged GETs by an address that botocore has signed once for an object: with a third of the CPU time of boto3's."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import botocore.exceptions
import urllib3
from cachetools import TTLCache

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_SIGNED_SECONDS, _USED_SECONDS = 3600, 900
_REFUSED = (400, 401, 403)


class SignedReads:
    """For threads. Does not try again, and says nothing of a failure: boto3 is to be asked for what it does not get."""

    def __init__(self, client: S3Client) -> None:
        """`client` signs, by version 4 of S3's signature; connections and waits are as many and as long as its own."""
        self._client = client
        settings: Any = client.meta.config  # its options are not in the types
        # not `total`, which would bound the wait for each part of an answer, too
        timeout = urllib3.Timeout(connect=settings.connect_timeout, read=settings.read_timeout)
        self._pool = urllib3.PoolManager(maxsize=settings.max_pool_connections, retries=False, timeout=timeout)
        self._addresses: TTLCache[tuple[str, str], str] = TTLCache(256, _USED_SECONDS)
        self._lock = threading.Lock()
        self.works = True  # until a store refuses such an address

    def get(self, bucket: str, key: str, first: int, size: int, etag: str) -> tuple[bytes, Mapping[str, str]] | None:
        """`size` bytes of an object from `first` on, and the headers; None where there is no such answer.

        `etag`: of the version that it has to be; any, for an empty text.
        """
        headers = {"Range": f"bytes={first}-{first + size - 1}"} | ({"If-Match": etag} if etag else {})
        try:
            address = self._address(bucket, key)
            answer = self._pool.request("GET", address, headers=headers, redirect=False, preload_content=False)
            # some stores say 200 of a part; one that knows no ranges would send all
            if answer.status in (200, 206) and "Content-Range" in answer.headers:
                return answer.read(decode_content=False), answer.headers
            self.works = self.works and answer.status not in _REFUSED
            answer.close()
        except (urllib3.exceptions.HTTPError, botocore.exceptions.BotoCoreError):
            pass
        return None

    def _address(self, bucket: str, key: str) -> str:
        with self._lock:
            address = self._addresses.get((bucket, key))
            if address is None:
                address = self._addresses[bucket, key] = self._client.generate_presigned_url(
                    "get_object", Params={"Bucket": bucket, "Key": key}, ExpiresIn=_SIGNED_SECONDS
                )
            return address
