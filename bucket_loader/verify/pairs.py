"""Both sides of a comparison: which object of the file stands for which of the domain, and what references point at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import h5py

from ..hdf5.beside import Beside
from ..hdf5.domain import COLLECTIONS, Domain
from ..hdf5.file import Key, Place, target_of
from .report import Recorder


@dataclass(frozen=True)
class Partners:
    """An object of the source and the one of the domain that stands for it, by the first path that leads to both.

    `path` is for people: of a long one, its end.
    """

    place: Place
    key: Key
    kind: str
    identity: str

    @property
    def path(self) -> str:
        return self.place.path


class Objects:
    """All partners that have been found, by either side's identity."""

    def __init__(self, file: h5py.File) -> None:
        self.file = file
        self.by_key: dict[Key, Partners] = {}
        self.by_identity: dict[str, Partners] = {}

    def pair(self, place: Place, key: Key, kind: str, identity: str) -> Partners:
        partners = Partners(place, key, kind, identity)
        self.by_key[key] = self.by_identity[identity] = partners
        return partners

    def same_target(self, reference: Any, target: str) -> bool:
        """Whether a reference of the source and one of the domain ("datasets/d-…") point at the same object."""
        if not reference or not target:
            return not reference and not target
        if isinstance(reference, h5py.RegionReference):
            return False  # HSDS holds no region
        found = self._named(target)
        if found is None or target not in (found.identity, f"{COLLECTIONS[found.identity[0]]}/{found.identity}"):
            return False
        return target_of(reference, self.file) == found.key

    def tell(self, reference: Any) -> str:
        """Where a reference of either side points, for a person."""
        if isinstance(reference, (h5py.Reference, h5py.RegionReference)):
            if not reference:
                return "null reference"
            key = target_of(reference, self.file)
            known = self.by_key.get(key) if key else None
            kind = "region of" if isinstance(reference, h5py.RegionReference) else "reference to"
            return f"{kind} {known.path if known else 'an object without a path'}"
        target = bytes(reference).rstrip(b"\0").decode("ascii", "replace")
        partners = self._named(target)
        return f"reference to {partners.path if partners else target}" if target else "null reference"

    def reference(self, reference: Any) -> str:
        """A reference of the source as HSDS writes it: "" for a null one and for an object without a path."""
        key = target_of(reference, self.file) if reference else None
        known = self.by_key.get(key) if key else None
        return f"{COLLECTIONS[known.identity[0]]}/{known.identity}" if known else ""

    def _named(self, target: str) -> Partners | None:
        return self.by_identity.get(target.rsplit("/", 1)[-1])


class Sides:
    """The file and the domain, which of their objects are partners so far, and the record of what differs."""

    def __init__(self, source: h5py.File, domain: Domain, record: Recorder, beside: Beside | None = None) -> None:
        """`beside`: the files that the source may have values in."""
        self.source, self.domain, self.record, self.beside = source, domain, record, beside
        self.objects = Objects(source)
