"""Decides whose fault an error is: the file's, or that of a server that will recover.

The type of an exception and the status in it decide, never its words, which may hold any name or value of a file: a
dataset called `/detector/timeout` does not mean that a server did not answer.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Literal

import botocore.exceptions
import requests

from .hsds import PASSING_STATUS, HsdsError, Unavailable

# file: it will be the same the next time; away: a server failed or did not answer; busy: a server had no room for it;
# memory: this process had no more memory
Cause = Literal["file", "away", "busy", "memory"]

_BUSY_STATUS = frozenset({429, 503})
_BUSY_CODES = frozenset({"SlowDown", "ServiceUnavailable", "Throttling", "ThrottlingException", "RequestLimitExceeded"})
# credentials that expired while a child had them are renewed for the next one
_PASSING_CODES = frozenset({"InternalError", "RequestTimeout", "ExpiredToken", "TokenRefreshRequired"})


class Caused(RuntimeError):
    """An error that knows its cause."""

    def __init__(self, message: str, cause: Cause = "file") -> None:
        super().__init__(message)
        self.cause: Cause = cause


class Trouble(Caused):
    """Something about a file or a domain could not be found out."""


def cause_of_status(status: int) -> Cause:
    """The cause behind an answer of a server with this HTTP status."""
    return "busy" if status in _BUSY_STATUS else "away" if status in PASSING_STATUS else "file"


def cause_of_s3_code(code: str) -> Cause:
    """The cause behind an error code of S3; botocore takes the HTTP status for the code of an answer without a body."""
    if code in _BUSY_CODES:
        return "busy"
    if code in _PASSING_CODES:
        return "away"
    return cause_of_status(int(code)) if code.isdigit() else "file"


def cause_of(error: BaseException) -> Cause:
    """The cause of an exception: its own, or that of one that led to it."""
    for each in _chain(error):
        cause = _own_cause(each)
        if cause != "file":
            return cause
    return "file"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An exception and those that it was raised from, without one that was merely being handled before it."""
    following: BaseException | None = error
    while following is not None:
        yield following
        following = following.__cause__


def _own_cause(error: BaseException) -> Cause:
    if isinstance(error, Caused):
        return error.cause
    if isinstance(error, MemoryError):
        return "memory"
    if isinstance(error, HsdsError):
        return cause_of_status(error.status) if error.status else "away" if isinstance(error, Unavailable) else "file"
    if isinstance(error, botocore.exceptions.ClientError):
        return _cause_of_s3(error)
    if isinstance(error, _connections()):
        return "away"
    return "file"


def _cause_of_s3(error: botocore.exceptions.ClientError) -> Cause:
    cause = cause_of_s3_code(str(error.response.get("Error", {}).get("Code", "")))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    return cause if cause != "file" else cause_of_status(status)


def _connections() -> tuple[type[BaseException], ...]:
    """What clients raise when a server did not answer, or not to the end."""
    known: list[type[BaseException]] = [
        requests.ConnectionError,
        requests.Timeout,
        requests.exceptions.ChunkedEncodingError,
        requests.exceptions.RetryError,
        botocore.exceptions.HTTPClientError,
        botocore.exceptions.ConnectionError,
        botocore.exceptions.IncompleteReadError,
        ConnectionError,
        TimeoutError,
    ]
    # of the reader of S3; a process that has not imported it cannot meet them
    if aiohttp := sys.modules.get("aiohttp"):
        known.append(aiohttp.ClientError)
    return tuple(known)
