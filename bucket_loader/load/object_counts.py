"""How many objects, links and attributes a domain has: the cheap proof that a load left nothing out.

Counted exactly, from the objects themselves: what `GET /?verbose=1` says comes from a scan that HSDS makes later.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..hdf5.domain import BATCH, BATCH_STEPS, COLLECTIONS
from ..hsds import Hsds, HsdsError, NotFound


@dataclass(frozen=True)
class Counts:
    """Of a file or a domain. `links` are hard, soft and external ones; `types` the named ones."""

    groups: int = 0
    datasets: int = 0
    types: int = 0
    links: int = 0
    attributes: int = 0

    def missing_in(self, other: Counts) -> str:
        """What another one has more or less of, for a person; an empty text when they are the same."""
        mine, theirs = asdict(self), asdict(other)
        return ", ".join(f"{theirs[name]} of {mine[name]} {name}" for name in mine if theirs[name] != mine[name])


def of_domain(hsds: Hsds, domain: str) -> tuple[str, Counts]:
    """A domain's root group, and what hangs on it, counted. Raises HsdsError, NotFound where the domain is no more.

    One request up to 500 objects, which HSDS 0.9.4 hands out at once; one for each 500 beyond.
    """
    with hsds.understood(otherwise=HsdsError):  # an attempt: one that always comes so would be waited for for ever
        return _of_domain(hsds, domain)


def _of_domain(hsds: Hsds, domain: str) -> tuple[str, Counts]:
    # with their attributes: without, HSDS answers from a cache that does not know them all
    body = _get(hsds, "/", domain, "getobjs", "include_attrs")
    root, objects = str(body["root"]), body.get("domain_objs")
    return root, count(crawl(hsds, domain, root) if objects is None else objects)


def crawl(hsds: Hsds, domain: str, root: str) -> dict[str, dict[str, Any]]:
    """The JSON of every object below a group, by id; some hundred with one request, by their paths."""
    found: dict[str, dict[str, Any]] = {}
    waiting, met = deque([("", root)]), {root}
    while waiting:
        batch: dict[str, str] = {}
        steps = 0
        while waiting and len(batch) < BATCH and steps < BATCH_STEPS:
            path, identity = waiting.popleft()
            batch[path] = identity
            steps += path.count("/")
        for path, item in _described(hsds, domain, batch).items():
            found[batch[path]] = item
            for name, link in item.get("links", {}).items():
                if link["class"] == "H5L_TYPE_HARD" and link["id"] not in met:
                    met.add(link["id"])
                    waiting.append((f"{path}/{name}", link["id"]))
    return found


def _described(hsds: Hsds, domain: str, batch: Mapping[str, str]) -> Mapping[str, dict[str, Any]]:
    """The JSON of objects, with their links, by path. `batch` has their ids."""
    paths = {path or "/": path for path in batch}
    try:
        described = hsds.json("POST", "/", domain, params={"include_links": 1}, json_body={"h5paths": list(paths)})[
            "h5paths"
        ]
    except NotFound:
        # one of them is linked to and is not there: which one, only its own request says
        return {
            path: _get(hsds, f"/{COLLECTIONS[identity[0]]}/{identity}", domain, "include_links")
            for path, identity in batch.items()
        }
    return {paths[path]: item for path, item in described.items()}


def _get(hsds: Hsds, url: str, domain: str, *options: str) -> dict[str, Any]:
    return hsds.json("GET", url, domain, params=dict.fromkeys(options, 1), otherwise=HsdsError)


def count(objects: dict[str, dict[str, Any]]) -> Counts:
    """Count a domain's objects, given as JSON by id; one that is empty is linked to and cannot be read."""
    counts = dict.fromkeys(asdict(Counts()), 0)
    for identity, item in objects.items():
        if not item:
            continue
        counts["types" if identity[0] == "t" else COLLECTIONS[identity[0]]] += 1
        counts["attributes"] += item["attributeCount"]
        counts["links"] += len(item.get("links", ()))
    return Counts(**counts)
