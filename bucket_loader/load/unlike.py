"""What cannot be loaded as it is: types that hsload writes otherwise, and virtual data behind an external link."""

from __future__ import annotations

import h5py

from ..hdf5 import types
from ..hdf5.file import Identifier
from ..hdf5.types import Compound, Float, Type

_NESTING = {h5py.h5t.COMPOUND, h5py.h5t.ARRAY, h5py.h5t.VLEN, getattr(h5py.h5t, "COMPLEX", h5py.h5t.COMPOUND)}
_MOST_LINKS = 64  # followed for one path, of which a loop of soft links has no end


def turned(what: str, kind: h5py.h5t.TypeID) -> str:
    """Why a type is written in another byte order; an empty text when it is not. `what` names what has it."""
    if kind.get_class() not in _NESTING or not _has_turned(types.from_hdf5(kind)):
        return ""
    return f"{what} has complex numbers of big-endian order: hsload would write them little-endian"


def torn(path: str, dataset: h5py.h5d.DatasetID) -> str:
    """Why a dataset's values cannot be copied; an empty text when they can. They are read right through a link.

    hsload writes a complex number that is a member of a compound with its real part twice.
    """
    form = types.from_hdf5(dataset.get_type())
    if any(map(_has_complex, form.parts)):
        outer = type(form).__name__.lower()
        return f"dataset {path} has complex numbers inside of {outer}s, which hsload writes with other values"
    return ""


def _part_of_complex(form: Type) -> Float | None:
    """The type of both parts of a complex number, as h5py knows one; None for any other type."""
    if not isinstance(form, Compound) or [member.name for member in form.members] != ["r", "i"]:
        return None
    real, imaginary = form.parts
    return real if isinstance(real, Float) and real == imaginary else None


def _has_complex(form: Type) -> bool:
    return _part_of_complex(form) is not None or any(map(_has_complex, form.parts))


def _has_turned(form: Type) -> bool:
    part = _part_of_complex(form)
    return (part is not None and part.order == "BE") or any(map(_has_turned, form.parts))


def source_elsewhere(dataset: h5py.h5d.DatasetID) -> str:
    """The first path of a virtual dataset into its own file that leads out of it by an external link, or nothing.

    Where that other file is not at hand, HDF5 gives fill values without a word, and so does a comparison with it.
    """
    properties = dataset.get_create_plist()
    if properties.get_layout() != h5py.h5d.VIRTUAL:
        return ""
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
