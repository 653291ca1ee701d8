"""How many objects, links and attributes a domain has: the cheap proof that a load left nothing out.

Counted exactly, from the objects themselves: what `GET /?verbose=1` says comes from a scan that HSDS makes later.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from .hsds import Hsds, HsdsError
from .verify.objects import COLLECTIONS


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

    One request up to 500 objects, which HSDS 0.9.4 hands out at once; one per object beyond.
    """
    with hsds.understood(otherwise=HsdsError):  # an attempt: one that always comes so would be waited for for ever
        return _of_domain(hsds, domain)


def _of_domain(hsds: Hsds, domain: str) -> tuple[str, Counts]:
    # with their attributes: without, HSDS answers from a cache that does not know them all
    body = _get(hsds, "/", domain, "getobjs", "include_attrs")
    root, objects = str(body["root"]), body.get("domain_objs")
    return root, count(crawl(hsds, domain, root) if objects is None else objects)


def crawl(hsds: Hsds, domain: str, root: str) -> dict[str, dict[str, Any]]:
    """The JSON of every object below a group, by id, asked for one by one."""
    found: dict[str, dict[str, Any]] = {}
    waiting = [root]
    while waiting:
        identity = waiting.pop()
        if identity in found:
            continue
        url = f"/{COLLECTIONS[identity[0]]}/{identity}"
        found[identity] = _get(hsds, url, domain, "include_links")
        links = found[identity].get("links", {})
        waiting += [link["id"] for link in links.values() if link["class"] == "H5L_TYPE_HARD"]
    return found


def _get(hsds: Hsds, url: str, domain: str, *options: str) -> dict[str, Any]:
    # not the client's own JSON, which refuses the NaN of a fill value
    return dict(json.loads(hsds.request("GET", url, domain, params=dict.fromkeys(options, 1)).content))


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
