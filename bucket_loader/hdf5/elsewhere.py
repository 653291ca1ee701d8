"""Which values of a dataset are not in its own file, and so out of reach."""

from __future__ import annotations

import h5py

from ..log import printable
from .file import Identifier, decode

_MOST_LINKS = 64  # followed for one path, of which a loop of soft links has no end


def values_elsewhere(path: str, dataset: h5py.h5d.DatasetID) -> str:
    """Why a dataset's values cannot be had; an empty text when they can. They are in files out of reach."""
    properties = dataset.get_create_plist()
    if count := properties.get_external_count():
        names = sorted({printable(as_text(properties.get_external(number)[0])) for number in range(count)})
        return f"dataset {path} keeps its data in other files: {', '.join(names)}"
    if properties.get_layout() != h5py.h5d.VIRTUAL:
        return ""
    sources = {as_text(properties.get_virtual_filename(number)) for number in range(properties.get_virtual_count())}
    if others := sorted(sources - {"."}):
        return f"dataset {path} is virtual, with its data in other files: {', '.join(map(printable, others))}"
    if source := _linked_out(dataset, properties):
        return f"dataset {path} is virtual, with its data in another file: behind a link of {printable(source)}"
    return ""


def _linked_out(dataset: h5py.h5d.DatasetID, properties: h5py.h5p.PropDCID) -> str:
    """The first path of a virtual dataset into its own file that leads out of it by an external link, or nothing.

    Where that other file is not at hand, HDF5 gives fill values without a word, and so does a comparison with it.
    """
    root = h5py.h5o.open(h5py.h5i.get_file_id(dataset), b"/")
    for number in range(properties.get_virtual_count()):
        name = properties.get_virtual_dsetname(number)
        if _leads_out(root, name.encode() if isinstance(name, str) else name):
            return name if isinstance(name, str) else name.decode("utf-8", "replace")
    return ""


def _leads_out(root: Identifier, path: bytes) -> bool:
    """Whether a path from the root meets an external link, or one that cannot be followed here."""
    place, parts, followed = root, path.split(b"/"), 0
    while parts:
        part = parts.pop(0)
        if part in (b"", b"."):
            continue
        if b"%" in part:  # a pattern of names: any of them
            return not isinstance(place, h5py.h5g.GroupID) or _has_other_links(place)
        if not isinstance(place, h5py.h5g.GroupID) or not place.links.exists(part):
            return False
        kind = place.links.get_info(part).type
        if kind == h5py.h5l.TYPE_SOFT:
            followed += 1
            if followed > _MOST_LINKS:
                return False
            target = place.links.get_val(part)
            parts = target.split(b"/") + parts
            place = root if target.startswith(b"/") else place
        elif kind == h5py.h5l.TYPE_HARD:
            place = h5py.h5o.open(place, part)
        else:
            return True
    return False


def _has_other_links(group: h5py.h5g.GroupID) -> bool:
    names: list[bytes] = []
    group.links.iterate(names.append)
    return any(group.links.get_info(name).type != h5py.h5l.TYPE_HARD for name in names)


def as_text(name: bytes | str) -> str:
    """A name as h5py gives it, which is bytes for some."""
    return decode(name) if isinstance(name, bytes) else name
