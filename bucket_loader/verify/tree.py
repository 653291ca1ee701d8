"""The tree: which object of the domain stands for which of the file, and whether the same links lead to both."""

from __future__ import annotations

import h5py

from ..hdf5.domain import DomainReadError, link_from_json
from ..hdf5.file import Place, encode, in_order_of_creation, key_of, links
from .pairs import Partners, Sides
from .report import short, words_of_link

_KINDS = {"g": "group", "d": "dataset", "t": "named type"}


class Tree:
    """The walk down both sides at once."""

    def __init__(self, sides: Sides) -> None:
        self.sides = sides
        self.attribute_counts: dict[str, int | None] = {}  # of the groups that the domain describes, by id

    def walk(self) -> list[Partners]:
        """Pair the objects of both sides and compare their links; all partners, parents first."""
        root = self.sides.domain.root()
        key, kind = key_of(self.sides.source.id, b"/")
        level = [self.sides.objects.pair(Place(self.sides.source.id), key, kind, root)]
        order: list[Partners] = []
        while level:
            order += level
            groups = [partners for partners in level if partners.kind == "group"]
            batches = self.sides.domain.batches(groups, "links")
            level = [below for batch in batches for group in batch for below in self._links(group)]
        return order

    def _links(self, group: Partners) -> list[Partners]:
        """Compare the links of a group and return the objects that are met for the first time."""
        domain, record = self.sides.domain, self.sides.record
        opened = group.place.open(self.sides.source)
        ours = links(opened)
        theirs, made = {}, {}
        try:
            described = domain.describe(group.identity)
            self.attribute_counts[group.identity] = described.get("attributeCount")
            for item in domain.links(group.identity) if described.get("linkCount") != 0 else ():
                theirs[item["title"]] = link_from_json(item)
                made[item["title"]] = (item.get("created", 0), item["title"])
        except DomainReadError as error:
            record.differ(group.path, "links", f"{len(ours)} link(s)", f"unreadable: {error}", cause=error.cause)
            return []
        fresh: list[Partners] = []
        for name, link in ours.items():
            path = _join(group.path, name)
            if name not in theirs:
                self._missing(opened, name, path, link)
            elif link[0] != theirs[name][0]:
                record.differ(path, "link", words_of_link(link), words_of_link(theirs[name]))
            elif link[0] == "hard":
                fresh += self._hard_link(group, opened, name, theirs[name][1])
            elif link != theirs[name]:
                record.differ(path, f"{link[0]} link", words_of_link(link), words_of_link(theirs[name]))
        for name in sorted(theirs.keys() - ours.keys()):
            link = theirs[name]
            if link[0] == "hard":
                record.differ(_join(group.path, name), "object", "missing", _KINDS.get(link[1][:1], link[1]))
            else:
                record.differ(_join(group.path, name), f"{link[0]} link", "missing", words_of_link(link))
        self._order(group.path, opened, [name for _, name in sorted(made.values())])
        return fresh

    def _missing(self, group: h5py.h5g.GroupID, name: str, path: str, link: tuple[str, ...]) -> None:
        """Record a link that the domain does not have."""
        if link[0] == "user-defined":
            self.sides.record.note(path, "user-defined link", f"class {link[1]}", "none")
        elif link[0] == "hard":
            _, kind = key_of(group, encode(name))
            self.sides.record.differ(path, "object", kind, "missing")
        else:
            self.sides.record.differ(path, f"{link[0]} link", words_of_link(link), "missing")

    def _hard_link(self, group: Partners, opened: h5py.h5g.GroupID, name: str, identity: str) -> list[Partners]:
        """Pair the objects that a name leads to on both sides, unless one of them has its partner already."""
        objects, record = self.sides.objects, self.sides.record
        key, kind = key_of(opened, encode(name))
        ours, theirs = objects.by_key.get(key), objects.by_identity.get(identity)
        if ours is None and theirs is None:
            other = _KINDS.get(identity[:1], identity)
            if kind != other:
                record.differ(_join(group.path, name), "object", kind, other)
                return []
            return [objects.pair(Place(opened, group.place, name), key, kind, identity)]
        if ours is not theirs:
            words = [f"the same object as {p.path}" if p else "an object of its own" for p in (ours, theirs)]
            record.differ(_join(group.path, name), "hard link", words[0], words[1])
        return []

    def _order(self, path: str, group: h5py.h5g.GroupID, made: list[str]) -> None:
        kept = in_order_of_creation(group)
        if kept is not None and kept != made and set(kept) == set(made):
            self.sides.record.note(path, "order of creation of its links", short(kept, 60), short(made, 60))


def _join(path: str, name: str) -> str:
    return f"{path.rstrip('/')}/{name}"
