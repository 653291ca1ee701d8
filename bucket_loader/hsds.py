"""One HSDS server: the requests made of it, with time limits, retries and errors that say what is wrong.

h5pyd is used where it helps (making a table, its data type). Requests that must be conditional, timed and judged by
their status go straight to the REST API: h5pyd 0.24 sends PUT without a time limit, lets its HTTP client repeat a PUT
whose answer was lost, and drops the status of a refused POST.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import requests
import tenacity
import urllib3.exceptions
from requests.auth import HTTPBasicAuth

from . import __version__
from .config import Config
from .errors import OperatorError
from .log import event

# a node answers 503 past `max_task_count` (100) connections; 500 stands for a data node that is restarting
PASSING_STATUS = frozenset({408, 429, 500, 502, 503, 504})
CONNECT_SECONDS, READ_SECONDS = 5.0, 60.0
USER_AGENT = f"{__package__}/{__version__}"
_PIECE = 1 << 20
# the versions that everything here was run with (docs/versions.md), by their first two numbers
VERSIONS = ((0, 8), (0, 9), (1, 0))
RIGHTS = ("create", "read", "update", "delete", "readACL", "updateACL")  # of a user, to a folder or domain
READING = dict.fromkeys(RIGHTS, False) | {"read": True, "readACL": True}
PATIENCE_SECONDS = 20.0  # how long one call is tried again before its caller hears of it


class HsdsError(OperatorError):
    """HSDS refused a request."""

    status = 0
    phrase = ""  # what the server says of it


class Unavailable(HsdsError):
    """HSDS does not answer, or is too busy to. It passes: wait and try again."""


class TimedOut(Unavailable):
    """HSDS let its client wait for nothing."""


class NotFound(HsdsError):
    """HSDS knows no such domain, folder or object."""


class LoginRefused(HsdsError):
    """HSDS does not accept the user name and password, or the user may not do this."""


class Conflict(HsdsError):
    """The domain or folder is there already."""


class WrongVersion(HsdsError):
    """This HSDS is too old."""


class AnswerTooLarge(Exception):
    """An answer has more bytes than it may have."""


_BY_STATUS: dict[int, type[HsdsError]] = {
    401: LoginRefused,
    403: LoginRefused,
    404: NotFound,
    409: Conflict,
    410: NotFound,
}


def expect_version(endpoint: str, version: str) -> None:
    """Raise WrongVersion for an HSDS that is too old; say in the log when it is none that was tried."""
    numbers = re.match(r"(\d+)\.(\d+)", version)
    minor = (int(numbers[1]), int(numbers[2])) if numbers else None
    if minor and minor < VERSIONS[0]:
        oldest = ".".join(map(str, VERSIONS[0]))
        raise WrongVersion(f"HSDS at {endpoint} has version {version}: {oldest} or a newer one is needed")
    if minor not in VERSIONS:
        tried = ", ".join(f"{major}.{minor}" for major, minor in VERSIONS)
        event(logging.WARNING, "this version of HSDS was not tried", server=endpoint, version=version, tried=tried)


@dataclass
class Hsds:
    """A server, a login and a bucket. Not shared between threads: `clone()` gives another thread its own."""

    endpoint: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    bucket: str | None = None
    patience: float = PATIENCE_SECONDS
    time_limit: float = READ_SECONDS  # for an answer to one request
    alive: Callable[[], None] = field(default=lambda: None, repr=False, compare=False)  # called after each answer
    passing: frozenset[int] = PASSING_STATUS  # what is tried again
    keeps_open: bool = False  # its connections

    def __post_init__(self) -> None:
        self.endpoint = self.endpoint.rstrip("/")
        self._session = requests.Session()
        self._session.trust_env = False  # no .netrc: it would replace the login that was configured
        if not self.keeps_open:
            # a connection that is kept open counts as a task in HSDS even when it is idle: with more workers than
            # max_task_count, it would answer 503 to everyone for ever
            self._session.headers["Connection"] = "close"
        self._session.headers["User-Agent"] = USER_AGENT  # for those who read the server's log
        if self.username and self.password:
            # as bytes: requests would encode text as Latin-1
            self._session.auth = HTTPBasicAuth(self.username.encode(), self.password.encode())

    def clone(self) -> Hsds:
        """A copy for another thread, which gives signs of life of its own."""
        return Hsds(self.endpoint, self.username, self.password, self.bucket, self.patience, self.time_limit)

    def with_time_limit(self, seconds: float) -> Hsds:
        """A copy for another thread; it makes each request once, with a limit in seconds."""
        return replace(self.clone(), patience=0.0, time_limit=seconds)

    def for_reading(self) -> Hsds:
        """A copy for reading a whole domain, which keeps its connections open.

        It does not try again after 500: HSDS has done that for 13 s, and answers so for everything that it cannot
        decode.
        """
        return replace(self.clone(), alive=self.alive, passing=frozenset({503}), keeps_open=True)

    def close(self) -> None:
        self._session.close()

    def request(
        self,
        method: str,
        path: str,
        domain: str | None = None,
        *,
        params: Mapping[str, object] | None = None,
        json_body: object = None,
        data: bytes | None = None,
        binary: bool = False,
        stream: bool = False,
        again: bool = True,
    ) -> requests.Response:
        """Make one request and return its answer, whose status is 200 to 299; its caller reads the body of a `stream`.

        `again=False` is for what must not be repeated: when the answer is lost, it may have been done. Raises
        HsdsError, of a kind that says whether waiting helps.
        """
        query: dict[str, Any] = dict(params or {})
        if domain is not None:
            query["domain"] = domain
            if self.bucket:
                query["bucket"] = self.bucket
        about = {"params": query, "json": json_body, "data": data, "stream": stream}
        about["headers"] = _headers(data is not None, binary, stream)
        once = partial(self._once, method, path, domain, about)
        if not again:
            return once()
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(self._may_pass),
            wait=tenacity.wait_random_exponential(multiplier=0.2, max=5),
            stop=tenacity.stop_after_delay(self.patience),
            reraise=True,
        )
        return retrying(once)

    def _once(self, method: str, path: str, domain: str | None, about: Mapping[str, Any]) -> requests.Response:
        timeout = (min(CONNECT_SECONDS, self.time_limit), self.time_limit)
        try:
            answer = self._session.request(method, self.endpoint + path, timeout=timeout, **about)
        except requests.RequestException as error:
            kind = TimedOut if is_timeout(error) else Unavailable
            raise kind(f"HSDS at {self.endpoint} does not answer ({_cause(error)})") from error
        self.alive()
        if answer.ok:
            return answer
        raise self._refusal(method, path, domain, answer)

    def _may_pass(self, error: BaseException) -> bool:
        return isinstance(error, Unavailable) and (not error.status or error.status in self.passing)

    def json(
        self,
        method: str,
        path: str,
        domain: str | None = None,
        *,
        params: Mapping[str, object] | None = None,
        json_body: object = None,
        limit: int | None = None,
        otherwise: type[HsdsError] = Unavailable,
    ) -> dict[str, Any]:
        """The JSON object that one request is answered with. Raises HsdsError, AnswerTooLarge beyond `limit` bytes.

        `otherwise` is raised for an answer that is none of HSDS's (see `understood`).

        It may hold NaN, as a fill value or as that of an attribute, which the HTTP client's own JSON would refuse.
        """
        answer = self.request(method, path, domain, params=params, json_body=json_body, stream=limit is not None)
        with answer, self.understood(otherwise):
            if answer.status_code != 200:
                raise ValueError(f"status {answer.status_code}")
            return dict(json.loads(answer.content if limit is None else b"".join(pieces(answer, limit))))

    @contextmanager
    def understood(self, otherwise: type[HsdsError] = Unavailable) -> Iterator[None]:
        """While an answer is read: raise an error when it is of another form than HSDS's.

        A gateway before it may answer with a page of its own and 200, or cut an answer off: it passes. What HSDS says
        of one domain alone may not, and is `otherwise` than a server that is away.
        """
        try:
            yield
        except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            what = " ".join(f"{type(error).__name__}: {error}".split())[:120]
            raise otherwise(f"HSDS at {self.endpoint} gave an answer that is not understood ({what})") from error

    def _refusal(self, method: str, path: str, domain: str | None, answer: requests.Response) -> HsdsError:
        status = answer.status_code
        kind = Unavailable if status in PASSING_STATUS else _BY_STATUS.get(status, HsdsError)
        if status == 400 and "not a member of the given domain" in str(answer.reason):
            kind = NotFound  # an id of a domain that was replaced
        what = f"HSDS at {self.endpoint} answered {status} {answer.reason} to {method} {domain or path}"
        if status == 401:
            what += f": the password of user {self.username!r} is wrong" if self.username else ": it wants a login"
        elif status == 403:
            what += f": user {self.username or 'default'!r} may not do this"
        error = kind(what)
        error.status, error.phrase = status, str(answer.reason)
        return error

    # -- the server ---------------------------------------------------------------------------------------------------

    def about(self) -> dict[str, Any]:
        """What the server says of itself: "state", "hsds_version" …; "state" says, too, why there is no answer."""
        try:
            answer = self.request("GET", "/about", again=False)
            with self.understood():
                return dict(answer.json())
        except HsdsError as error:
            return {"state": str(error)}

    def state(self) -> str:
        """`READY`, or what is in the way: another state or a failure, in one line. An answer alone is not enough."""
        return str(self.about().get("state"))

    def expect_ready(self) -> None:
        """Return when the server is READY, and of a version that can be used; else raise Unavailable, WrongVersion."""
        about = self.about()
        if about.get("state") != "READY":
            raise Unavailable(f"HSDS at {self.endpoint} is not READY: {about.get('state')}")
        expect_version(self.endpoint, str(about.get("hsds_version")))

    # -- tables --------------------------------------------------------------------------------------------------------

    def update_rows(
        self,
        table_id: str,
        domain: str,
        condition: str,
        rows: tuple[int, int],
        values: Mapping[str, object],
        *,
        limit: int,
        again: bool,
    ) -> list[tuple[int, tuple[Any, ...] | None]]:
        """Change up to `limit` rows of a table that fulfil a condition, and lie in the chunk of `rows` (first, end).

        Returns the index of each changed row, and what it holds now where this version of HSDS says so.
        """
        answer = self.request(
            "PUT",
            f"/datasets/{table_id}/value",
            domain,
            params={"query": condition, "Limit": limit, "select": f"[{rows[0]}:{rows[1]}]"},
            json_body=values,
            again=again,
        )
        with self.understood():
            changed = answer.json()
            if "indices" in changed:  # HSDS 1.0: a list of one for each dimension
                return [(int(index), None) for (index,) in changed["indices"]]
            return [(int(row[0]), tuple(row[1:])) for row in changed["value"]]

    # -- folders and domains ------------------------------------------------------------------------------------------

    def root_of(self, domain: str) -> str | None:
        """The id of a domain's root group; None where there is no such domain, or a folder."""
        try:
            root = self.json("GET", "/", domain).get("root")
        except NotFound:
            return None
        return str(root) if root else None

    def exists(self, path: str) -> bool:
        """Whether there is a domain or folder of this name."""
        try:
            self.request("GET", "/", path.rstrip("/") or "/")
        except NotFound:
            return False
        return True

    def make_folders(self, folder: str, below: str = "/") -> None:
        """Make a folder and the missing ones between it and `below`, which must exist. Another pod may be faster."""
        path = below.rstrip("/")
        for part in folder[len(below) :].strip("/").split("/"):
            path = f"{path}/{part}"
            if part and not self.exists(path):
                try:
                    self.request("PUT", "/", path, json_body={"folder": 1})
                except Conflict:
                    continue

    def delete_domain(self, domain: str) -> bool:
        """Delete a domain, here and in storage; False where there was none."""
        try:
            self.request("DELETE", "/", domain)
        except NotFound:
            return False
        return True

    def forget_domain(self, domain: str) -> None:
        """Delete a domain, here and in storage, and leave its objects there: another one may then be in its place."""
        self.request("DELETE", "/", domain, params={"keep_root": 1})

    def make_public(self, domain: str) -> None:
        """Let everyone read a domain."""
        self.request("PUT", "/acls/default", domain, json_body=READING)

    def flush(self, domain: str) -> None:
        """Return when all that was written to a domain is in storage.

        Without this, killing the data node right after hsload ended lost datasets in 3 of 3 tries.
        """
        self.request("PUT", "/", domain, json_body={"flush": 1})


def _headers(has_data: bool, binary: bool, stream: bool) -> dict[str, str]:
    """Those of one request: whether it has bytes, wants bytes, and whether its answer is read in pieces."""
    headers = {}
    if binary:
        headers["Accept"] = "application/octet-stream"
    if has_data:
        headers["Content-Type"] = "application/octet-stream"
    if stream:
        # HSDS announces the length, then fails to decode a chunk, and sends nothing more: only on a connection that
        # is to be closed does a client learn of it at once, and not by its timeout
        headers["Connection"] = "close"
    return headers


def pieces(answer: requests.Response, limit: int) -> Iterator[bytes]:
    """The body of a stream. Raises AnswerTooLarge beyond `limit` bytes, and what requests raises when it breaks off."""
    size = 0
    for piece in answer.iter_content(_PIECE):
        size += len(piece)
        if size > limit:
            raise AnswerTooLarge
        yield piece


def is_timeout(error: BaseException | None) -> bool:
    """Whether an HTTP failure is one of a server that let its client wait. `requests` says so by its type at times."""
    while error is not None:
        if isinstance(error, (requests.Timeout, TimeoutError, urllib3.exceptions.TimeoutError)):
            return True
        error = error.__cause__ or error.__context__
    return False


def _cause(error: requests.RequestException) -> str:
    """The innermost reason of an HTTP client's error, in a few words."""
    inner: BaseException = error
    while True:
        deeper = getattr(inner, "reason", None) or (inner.args[0] if inner.args else None) or inner.__cause__
        if not isinstance(deeper, BaseException):
            break
        inner = deeper
    text = str(inner).split("Failed to establish a new connection: ")[-1]
    return " ".join(text.split())[:120] or type(inner).__name__


def connect(settings: Config) -> Hsds:
    """The cluster's HSDS with the configured login."""
    return Hsds(settings.hsds_endpoint, settings.hs_username, settings.password, settings.tgt_bucket)
