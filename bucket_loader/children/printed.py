"""What hsload and hsdiff print, read line by line: records of their log, the exception of a crash, and the rest.

Such lines hold names and values of the file, which may read like anything. So the words of a server are looked for only
where no name can stand: every expression here is for a whole line that h5pyd, requests, botocore or s3fs words, and the
place of the server's words in it comes after all names. Line breaks in names are escaped in the child (`forkserver`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from http import HTTPStatus

from ..causes import Cause, cause_of_s3_code, cause_of_status
from ..hsds import PASSING_STATUS
from ..log import printable

_RECORD = re.compile(r"(ERROR|WARNING|INFO|DEBUG|CRITICAL) \d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+ (.*)")
# lines that say only that there was an error
_EMPTY_WORDS = re.compile(r"^(exiting program with return code|Traceback|During handling|The above exception|\s|\^)")
_TRACEBACK = "Traceback (most recent call last):"
_CAUSE_OF_NEXT = "The above exception was the direct cause of the following exception:"

_EXCEPTION = re.compile(r"([\w.]+)(?:: (.*))?")
_CONNECTION_LOST = re.compile(
    r"requests\.exceptions\.(ConnectionError|ConnectTimeout|ReadTimeout|Timeout|ChunkedEncodingError|RetryError)"
    r"|urllib3\.exceptions\.\w+"
    r"|botocore\.exceptions\.(EndpointConnection|Connection|ConnectTimeout|ReadTimeout|ConnectionClosed|HTTPClient"
    r"|ResponseStreaming|IncompleteRead)Error"
    r"|aiohttp\.(client|http)_exceptions\.\w+"
    r"|fsspec\.exceptions\.FSTimeoutError"
    r"|(asyncio\.exceptions\.)?TimeoutError|ConnectionError|Connection\w+Error|BrokenPipeError"
)
_PHRASES = {HTTPStatus(status).phrase: status for status in PASSING_STATUS} | {"Gateway Time-out": 504}
# an answer of HSDS as h5pyd makes an exception of it; some of these have the status, some the phrase, some both
_ANSWER = re.compile(
    rf"(?:\[Errno (\d{{3}})\] )?(?:{'|'.join(map(re.escape, _PHRASES))})(?::(\d{{3}}))?"
    r"|\[Errno (\d{3})\] Unexpected Error"
    r"|Error retrieving data: (\d{3})"
    r"|POST error: (\d{3})"
    r"|POST error - status_code: (\d{3}), reason: .*"
)
# what h5pyd, requests and botocore say when a server did not answer, or not to the end
_SILENCE = re.compile(
    r"Connection Error|Unexpected exception"
    r"|connection error: .*"
    r"|got <class '(?:requests|urllib3)\.exceptions\.\w+'> exception: .*"
    r"|HTTPS?ConnectionPool\(host=.*"
    r"|\('Connection (?:aborted|broken)\b.*"
    r"|(?:Read|Connect) timeout on endpoint URL: .*"
    r"|Could not connect to the endpoint URL: .*"
    r"|Connection was closed before we received a valid response from endpoint URL: .*"
    r"|An HTTP Client (?:raised an unhandled exception|failed to establish a connection): .*"
    r"|An error occurred while reading from response stream: .*"
)
_TOO_MANY_503 = "(Caused by ResponseError('too many 503 error responses'))"
_REFUSED_BY_S3 = re.compile(r"An error occurred \((\w+)\) when calling the \w+ operation\b.*")
# hsload has deleted what was there: this is a request whose answer was lost, sent again by h5pyd
_MADE_BEFORE = "[Errno 409] Conflict"
# the numbers of s3fs for what S3 answers when it is busy, or failed
_ERRNO_OF_S3: dict[str, Cause] = {"16": "busy", "121": "away", "5": "away"}
_ERRNO = re.compile(r"\[Errno (16|121|5)\] .*")
# hsload and hsdiff put an error behind what they were at; in the first of these a name of the file comes before it
_WRAPPED = re.compile(
    r"ERROR: failed to create attribute .* -- (.*)"
    r"|ERROR: failed to create dataset: (.*)"
    r"|ERROR : failed to copy dataset data (?:\([^:]*\))?: (.*)"
)


def records(lines: Sequence[str], level: str) -> list[str]:
    """The messages that a tool logged at a level."""
    return [found[2] for found in map(_RECORD.fullmatch, lines) if found and found[1] == level]


def telling(lines: Sequence[str]) -> str:
    """The last line that says what happened; of a Python crash, the exception."""
    return next((bare for bare in map(_bare, reversed(lines)) if not _EMPTY_WORDS.match(bare)), "")


def _bare(line: str) -> str:
    found = _RECORD.fullmatch(line)
    return found[2] if found else line


def crash(lines: Sequence[str]) -> list[str]:
    """The exception that ended a Python program, and those that it was raised from; nothing where none did."""
    found: list[str] = []
    starts = [] if counted_differences(lines) else [at for at, line in enumerate(lines) if line == _TRACEBACK]
    for start in reversed(starts):
        said = next((line for line in lines[start + 1 :] if not line.startswith(" ")), "")
        found.append(said)
        if not start or lines[start - 1] != _CAUSE_OF_NEXT:
            break
    return found


def counted_differences(lines: Sequence[str]) -> bool:
    """Whether hsdiff came to its end, and found both sides to be different."""
    return bool(lines) and re.fullmatch(r"\d+ differences found", lines[-1]) is not None


def cause(lines: Sequence[str], named: Sequence[str] = ()) -> Cause:
    """Whose fault a failed run is. `named` are the source and the domain that the tool was given."""
    causes = set(_causes(lines, [printable(name) for name in named]))
    ordered: tuple[Cause, ...] = ("memory", "busy", "away")
    return next((each for each in ordered if each in causes), "file")


def _causes(lines: Sequence[str], named: Sequence[str]) -> Iterator[Cause]:
    for message in records(lines, "ERROR"):
        yield _cause_of_message(message, named)
    for line in crash(lines):
        if found := _EXCEPTION.fullmatch(line):
            kind, text = found[1], found[2] or ""
            if kind.endswith("MemoryError"):
                yield "memory"
            elif _CONNECTION_LOST.fullmatch(kind):
                yield "busy" if text.endswith(_TOO_MANY_503) else "away"
            elif kind in ("OSError", "botocore.exceptions.ClientError"):
                yield _cause_of_message(text, named)


def _cause_of_message(message: str, named: Sequence[str]) -> Cause:
    """The cause behind a message of the log, or behind the text of an exception."""
    for name in named:
        for words in (f"Error opening file {name}: ", f"Error opening file: {name}: ", f"Error creating file {name}: "):
            if message.startswith(words):
                error = message.removeprefix(words)
                if words.startswith("Error creating") and error == _MADE_BEFORE:
                    return "away"
                of_s3 = _ERRNO.fullmatch(error)
                return _ERRNO_OF_S3[of_s3[1]] if of_s3 else _cause_of_error(error)
    if wrapped := _WRAPPED.fullmatch(message):
        return _cause_of_error(next(filter(None, wrapped.groups()), ""))
    return _cause_of_error(message)


def _cause_of_error(text: str) -> Cause:
    if found := _ANSWER.fullmatch(text):
        status = next(filter(None, found.groups()), "")
        return cause_of_status(int(status or next(_PHRASES[words] for words in _PHRASES if text.startswith(words))))
    if found := _REFUSED_BY_S3.fullmatch(text):
        return cause_of_s3_code(found[1])
    if _SILENCE.fullmatch(text):
        return "busy" if text.endswith(_TOO_MANY_503) else "away"
    return "file"
