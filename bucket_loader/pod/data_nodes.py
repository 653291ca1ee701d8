"""What a server's data nodes say of themselves, as far as they can be reached: within a pod they can be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import requests

from ..hsds import Hsds


class DataNodes:
    """The data nodes of one HSDS. Raises HsdsError when the server does not say where they are."""

    def __init__(self, hsds: Hsds) -> None:
        self._hsds = hsds
        self._reached: list[str] = []

    def lives(self) -> dict[str, int]:
        """When each node was started (epoch seconds, by address), as far as nodes can be reached.

        A node that was killed has lost what it had not yet written, and hsload does not notice: it repeats its request
        until the restarted node answers.
        """
        if not self._reached:
            self._reached = [url for url in self._urls() if _start_time(url)]
        return {url: _start_time(url) for url in self._reached}

    def read_from_storage(self, since: int) -> bool:
        """Whether the nodes read a domain that was in storage at `since` (epoch seconds) from there.

        A node answers from memory what it was itself asked to store, even where storage holds something else. One that
        was asked to store nothing since it was started, or that was started after `since`, has no such memory. False
        where a node cannot be reached.
        """
        urls = self._urls()
        return bool(urls) and all(was_not_given(_info(url), since) for url in urls)

    def _urls(self) -> list[str]:
        with self._hsds.understood():
            return [str(url) for url in self._hsds.json("GET", "/about").get("dn_urls") or []]


def was_not_given(info: Mapping[str, Any], since: int) -> bool:
    """The same of one node, by what it says of itself."""
    try:
        if int(info["node"]["start_time"]) > since:
            return True
        return int(info["req_count"]["PUT"]) == 0
    except (ValueError, KeyError, TypeError):
        return False


def _info(url: str) -> dict[str, Any]:
    """What a data node says of itself; empty when it cannot be reached."""
    try:
        said = requests.get(f"{url}/info", timeout=(2, 10)).json()
    except (requests.RequestException, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def _start_time(url: str) -> int:
    """When a data node was started, in epoch seconds; 0 when it cannot be reached."""
    try:
        return int(_info(url)["node"]["start_time"])
    except (ValueError, KeyError, TypeError):
        return 0
