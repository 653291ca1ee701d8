"""An HSDS domain as its REST API tells it: objects, links, attributes and values, with limits of time and size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, Protocol, TypeVar

import requests

from ..causes import Cause, Caused, Trouble, cause_of_status
from ..hsds import AnswerTooLarge, Hsds, HsdsError, LoginRefused, TimedOut, Unavailable, is_timeout, pieces
from .file import Place

COLLECTIONS = {"g": "groups", "d": "datasets", "t": "datatypes"}  # by the first letter of an object's id
LINKS_PAGE = 1000
ATTRIBUTES_PAGE = 100  # they come with their values
BATCH = 500  # objects that are asked for at once
_BATCH_BYTES = 8 << 20  # of such an answer; it takes ten times as much when it is read
# characters, and names: HSDS goes down each path from the root, a link at a time
_BATCH_PATHS, BATCH_STEPS = 1 << 20, 2500


class Object(Protocol):
    """An object by its id and by the path that leads to it."""

    @property
    def identity(self) -> str: ...

    @property
    def place(self) -> Place: ...


P = TypeVar("P", bound=Object)


class DomainReadError(Caused):
    """The server did not hand over something that it lists; `timed_out`: it let its client wait for nothing."""

    def __init__(self, message: str, cause: Cause = "file", timed_out: bool = False) -> None:
        super().__init__(message, cause)
        self.timed_out = timed_out


class TooSlow(Trouble):
    """The server let its client wait for nothing."""


class Domain:
    """One domain, read through HSDS. Raises `DomainReadError` for what cannot be read, `Trouble` where nothing can."""

    def __init__(self, hsds: Hsds, path: str) -> None:
        self._hsds, self.path = hsds.for_reading(), path
        self._ahead: dict[str, dict[str, Any]] = {}  # what was asked for at once, by id

    def __repr__(self) -> str:
        return f"Domain({self.path!r} at {self._hsds.endpoint})"

    def close(self) -> None:
        self._hsds.close()

    def __enter__(self) -> Domain:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def root(self) -> str:
        """The id of the root group. Raises `Trouble` when there is no such domain or no right to read it."""
        try:
            body = self._json("GET", "/")
        except DomainReadError as error:
            raise Trouble(f"domain {self.path} cannot be opened: {error}", error.cause) from error
        if not isinstance(body.get("root"), str):
            raise Trouble(f"{self.path} is a folder, not a domain")
        return str(body["root"])

    def describe(self, identity: str) -> dict[str, Any]:
        """The object's JSON: "type", "shape", "creationProperties", "layout", "attributeCount", "linkCount"."""
        return self._ahead.get(identity) or self._json("GET", _url(identity))

    def batches(self, objects: Sequence[P], part: Literal["links", "attributes"]) -> Iterator[list[P]]:
        """All objects, some hundred at a time, each time after one request has asked for them.

        One for each of 10,000 objects would take minutes. Until the next batch, `describe` and `links` or `attributes`
        know the answers. What does not come at once (one of them is broken, or is too much) is asked for by itself.
        """
        first, size, most = 0, BATCH, BATCH
        while first < len(objects):
            paths = _paths(objects[first : first + size])
            batch = objects[first : first + len(paths)]
            try:
                self._ahead = self._at_once(batch, paths, part) if len(batch) > 1 else {}
            except AnswerTooLarge:
                size = len(batch) // 2
                continue
            except TooSlow:
                # not halves: each may take the whole time limit
                size = most = len(batch) // 10 or 1
                continue
            yield list(batch)
            first, size = first + len(batch), min(most, 2 * size)
        self._ahead = {}

    def _at_once(
        self, batch: Sequence[Object], paths: Sequence[str], part: Literal["links", "attributes"]
    ) -> dict[str, dict[str, Any]]:
        wanted = {"links": "include_links", "attributes": "include_attrs"}[part]
        try:
            described = self._json("POST", "/", {wanted: 1}, {"h5paths": paths}).get("h5paths")
        except DomainReadError:
            return {}
        items = described if isinstance(described, dict) else {}
        found = {one.identity: items.get(path) for one, path in zip(batch, paths, strict=True)}
        return {key: item for key, item in found.items() if isinstance(item, dict) and item.get("id") == key}

    def links(self, identity: str) -> Iterator[dict[str, Any]]:
        """The links of a group: "title", "class" and "id", "h5path" or "h5domain", page by page."""
        known = self._ahead.get(identity, {}).get("links")
        if isinstance(known, dict):
            yield from ({**link, "title": name} for name, link in known.items())
            return
        yield from self._pages(_url(identity) + "/links", "links", "title", LINKS_PAGE, {})

    def attributes(self, identity: str) -> Iterator[dict[str, Any]]:
        """The attributes of an object with "name", "type", "shape", "value" (and "encoding"), page by page."""
        known = self._ahead.get(identity, {}).get("attributes")
        if isinstance(known, dict):
            yield from ({**attribute, "name": name} for name, attribute in known.items())
            return
        # without max_data_size: with it, HSDS 0.9.4 answers 500 for an attribute with a null space
        yield from self._pages(
            _url(identity) + "/attributes", "attributes", "name", ATTRIBUTES_PAGE, {"IncludeData": "1"}
        )

    def values(self, identity: str, selection: tuple[slice, ...], limit: int) -> bytes:
        """The values of a selection as HSDS sends them. Raises `AnswerTooLarge` beyond `limit` bytes."""
        params = {"select": "[" + ",".join(f"{s.start}:{s.stop}" for s in selection) + "]"} if selection else {}
        url = _url(identity) + "/value"
        try:
            with self._reading(url):
                answer = self._hsds.request("GET", url, self.path, params=params, binary=True, stream=True)
        except TooSlow as error:
            raise DomainReadError(f"no values came: {error}", "away", timed_out=True) from error
        found: list[bytes] = []
        with answer:
            if answer.status_code != 200:
                raise DomainReadError(f"{url} answered {answer.status_code} {answer.reason}")
            try:
                found.extend(pieces(answer, limit))
            except (requests.RequestException, OSError) as error:
                self.root()  # a server that is gone is trouble, not a fault of this dataset
                size = sum(map(len, found))
                words = f"the values ended after {size} bytes: {_reason(error)}"
                raise DomainReadError(words, "away", is_timeout(error)) from error
        size, expected = sum(map(len, found)), answer.headers.get("Content-Length")
        if expected is not None and not answer.headers.get("Content-Encoding") and size != int(expected):
            raise DomainReadError(f"the values ended after {size} of {expected} bytes", "away")
        return b"".join(found)

    def _pages(self, url: str, key: str, name: str, page: int, params: dict[str, str]) -> Iterator[dict[str, Any]]:
        seen: str | None = None
        while True:
            marker = {} if seen is None else {"Marker": seen}
            items = self._json("GET", url, params | {"Limit": str(page)} | marker)[key]
            yield from items
            if len(items) < page:
                return
            if items[-1][name] in ("", seen):
                raise DomainReadError(f"{key} cannot be listed past {items[-1][name]!r}")
            seen = items[-1][name]

    def _json(
        self, method: str, url: str, params: Mapping[str, object] | None = None, body: object = None
    ) -> dict[str, Any]:
        """The JSON of an answer. Raises `AnswerTooLarge` where it is one to a `body`, about many objects."""
        limit = None if body is None else _BATCH_BYTES
        with self._reading(url):
            return self._hsds.json(
                method, url, self.path, params=params, json_body=body, limit=limit, otherwise=HsdsError
            )

    @contextmanager
    def _reading(self, url: str) -> Iterator[None]:
        """While something is asked for: raise what its failure means for a comparison."""
        try:
            yield
        except LoginRefused as error:
            words = f"{self.path}: the server refuses the login or the right to read ({error.status})"
            raise Trouble(words) from error
        except HsdsError as error:
            if error.status == 503:
                words = f"{self._hsds.endpoint} is too busy for {url} of {self.path}; try again later"
                raise Trouble(words, "busy") from error
            if error.status:
                words = f"{url} answered {error.status} {error.phrase}"
                raise DomainReadError(words, cause_of_status(error.status)) from error
            if isinstance(error, Unavailable):
                kind = TooSlow if isinstance(error, TimedOut) else Trouble
                raise kind(f"{error}, asked for {url} of {self.path}", "away") from error
            raise DomainReadError(f"{url}: {error}") from error


def link_from_json(item: dict[str, Any]) -> tuple[str, ...]:
    """A link: ("hard", id of the object), ("soft", path), ("external", domain, path) or ("user-defined", class)."""
    kind = item["class"]
    if kind == "H5L_TYPE_HARD":
        return ("hard", item["id"])
    if kind == "H5L_TYPE_SOFT":
        return ("soft", item["h5path"])
    if kind == "H5L_TYPE_EXTERNAL":
        # "file" from HSDS 1.0 on
        return ("external", item["h5domain"] if "h5domain" in item else item["file"], item["h5path"])
    return ("user-defined", str(kind))


def shape_from_json(item: dict[str, Any]) -> tuple[int, ...] | None:
    """The extents of an object's "shape", () for a scalar, None for a null space. Raises ValueError for another one."""
    kind = item["class"]
    if kind == "H5S_NULL":
        return None
    if kind not in ("H5S_SIMPLE", "H5S_SCALAR"):
        raise ValueError(f"the domain's space {item!r} is not understood")
    return tuple(item.get("dims", ())) if kind == "H5S_SIMPLE" else ()


def chunk_shape_from_json(item: dict[str, Any]) -> tuple[int, ...]:
    """The shape of what HSDS visits one by one: its own chunks, or the file's smaller ones inside a linked chunk."""
    made_with = item.get("creationProperties", {}).get("layout", {})
    dims = made_with.get("hyper_dims") or item.get("layout", {}).get("dims") or []
    return tuple(dims) if isinstance(dims, list) else (dims,)


def _paths(objects: Sequence[Object]) -> list[str]:
    """The whole paths of the first objects, as many as may be asked for at once, and one at least."""
    paths: list[str] = []
    size = steps = 0
    for one in objects:
        path = one.place.whole
        size, steps = size + len(path), steps + one.place.depth
        if paths and (size > _BATCH_PATHS or steps > BATCH_STEPS):
            break
        paths.append(path)
    return paths


def _url(identity: str) -> str:
    if identity[:2] not in ("g-", "d-", "t-"):
        raise DomainReadError(f"object id {identity!r} is not one of HSDS")
    return f"/{COLLECTIONS[identity[0]]}/{identity}"


def _reason(error: Exception) -> str:
    """The innermost message of an HTTP failure, without the wrapping of three libraries."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    return f"{type(error).__name__}: {error}"
