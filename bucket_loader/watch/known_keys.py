"""What a watcher knows of the inventory's rows: 50 bytes for each, so that a million keys fit into a small pod.

Keys are known by hashes, in a sorted array and a small dictionary of those that came since the last sort. A page of a
listing is looked up at once, and not at all when it tells what it told a pass ago.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from ..inventory.model import Rows, key_digest, of_files
from ..s3 import SourceObject

Indices = npt.NDArray[np.int64]
_MERGE_AT = 50_000

# the columns of the table that `extend` wants
COLUMNS = ("keyhash", "rowid", "size", "etag", "modified", "version", "vanished", "state")


def digests_of(keys: Iterable[str]) -> npt.NDArray[np.bytes_]:
    """The hashes of keys, shape (number of keys,), 16 bytes each."""
    return np.frombuffer(b"".join(map(key_digest, keys)), "S16")


def fingerprints_of(sizes: Iterable[int], etags: Iterable[str], times: Iterable[int]) -> Indices:
    """A number for each version of an object. Python's own hash: good for this process alone, and quick."""
    return np.fromiter(map(hash, zip(sizes, etags, times, strict=True)), "i8")


class KnownKeys:
    """The rows of a table by their place in it, and the places of keys. Of rows with the same key, the first counts."""

    def __init__(self) -> None:
        self._digests: npt.NDArray[np.bytes_] = np.zeros(0, "S16")
        self._places: npt.NDArray[np.int32] = np.zeros(0, "i4")
        self._recent: dict[bytes, int] = {}
        self.fingerprints = np.zeros(0, "i8")
        self.rowids = np.zeros(0, "i8")
        self.versions = np.zeros(0, "i4")
        self.vanished = np.zeros(0, "?")
        self.first = np.zeros(0, "?")  # false for blank rows and further rows of a key
        self.seen = np.zeros(0, "?")
        # the rows of pages without news, by a hash of what the page told: most pages are as they were a pass ago. Of
        # the last pass alone, because an object may change and change back
        self._last_pages: dict[int, npt.NDArray[np.int32]] = {}
        self._pages: dict[int, npt.NDArray[np.int32]] = {}

    @property
    def rows(self) -> int:
        return len(self.rowids)

    def find(self, digests: npt.NDArray[np.bytes_]) -> Indices:
        """The rows of keys, by their hashes, shape (number of hashes,); -1 where there is none."""
        found = np.full(len(digests), -1, "i8")
        if len(self._digests):
            places = np.minimum(np.searchsorted(self._digests, digests), len(self._digests) - 1)
            same = self._digests[places] == digests
            found[same] = self._places[places[same]]
        if self._recent:
            for index in np.flatnonzero(found < 0).tolist():
                found[index] = self._recent.get(bytes(digests[index]), -1)
        return found

    def extend(self, block: Rows) -> Indices:
        """Add the next rows of the table; returns those whose key an earlier row has already."""
        start = self.rows
        used = of_files(block["state"]) & (block["keyhash"] != b"")
        digests = np.zeros(len(block), "S16")
        digests[used] = np.frombuffer(bytes.fromhex(b"".join(block["keyhash"][used].tolist()).decode()), "S16")
        first = used & (self.find(digests) < 0)
        for offset in np.flatnonzero(first).tolist():
            # of two in one block, the first one
            first[offset] = self._recent.setdefault(bytes(digests[offset]), start + offset) == start + offset
        etags = (etag.decode() for etag in block["etag"].tolist())
        fingerprints = fingerprints_of(block["size"].tolist(), etags, block["modified"].tolist())
        self.first = np.concatenate([self.first, first])
        self.fingerprints = np.concatenate([self.fingerprints, fingerprints])
        self.rowids = np.concatenate([self.rowids, block["rowid"]])
        self.versions = np.concatenate([self.versions, block["version"].astype("i4")])
        self.vanished = np.concatenate([self.vanished, block["vanished"] > 0])
        self.seen = np.concatenate([self.seen, np.zeros(len(block), "?")])
        if len(self._recent) > _MERGE_AT:
            self._merge()
        return start + np.flatnonzero(used & ~first)

    def _merge(self) -> None:
        digests = np.concatenate([self._digests, np.array(list(self._recent), "S16")])
        places = np.concatenate([self._places, np.array(list(self._recent.values()), "i4")])
        order = np.argsort(digests)
        self._digests, self._places, self._recent = digests[order], places[order], {}

    def truncate(self, rows: int) -> None:
        """Forget all but the first rows of the table."""
        if rows == self.rows:
            return
        self._pages = {}
        self._recent = {digest: row for digest, row in self._recent.items() if row < rows}
        kept = self._places < rows
        self._digests, self._places = self._digests[kept], self._places[kept]
        for name in ("first", "fingerprints", "rowids", "versions", "vanished", "seen"):
            setattr(self, name, getattr(self, name)[:rows])

    def begin_pass(self) -> None:
        """A listing begins: nothing of it was seen yet."""
        self.seen[:] = False
        self._last_pages, self._pages = self._pages, {}

    def forget_pages(self) -> None:
        """Other news than a listing changes something: the next one is compared whole."""
        self._last_pages, self._pages = {}, {}

    def compare(self, page: Sequence[SourceObject]) -> tuple[list[int], list[tuple[int, int, int]]]:
        """Look up a page of a listing, and note what was seen.

        Returns the places in the page of what is not known; and (place, row, fingerprint) of each object that needs a
        second reading, because it changed or was missing.
        """
        number = hash(tuple([(item.key, item.size, item.etag, item.modified) for item in page]))
        same = self._last_pages.get(number)
        if same is not None:
            self._pages[number] = same
            self.seen[same] = True
            return [], []
        rows = self.find(digests_of(item.key for item in page))
        fingerprints = fingerprints_of(
            (item.size for item in page), (item.etag for item in page), (item.modified for item in page)
        )
        missing = np.flatnonzero(rows < 0).tolist()
        known = np.flatnonzero(rows >= 0)
        places = rows[known]
        self.seen[places] = True
        news = known[(self.fingerprints[places] != fingerprints[known]) | self.vanished[places]].tolist()
        if not missing and not news:
            self._pages[number] = rows.astype("i4")
        return missing, [(place, int(rows[place]), int(fingerprints[place])) for place in news]
