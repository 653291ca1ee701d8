"""An HDF5 file by h5py's low-level API: what the high level hides (paddings, offsets, identities, unreadable parts)."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import h5py
import numpy as np

from ..causes import Caused
from ..log import printable
from . import types
from .types import Type
from .values import Array

Key = tuple[int, int]  # what makes two paths the same object: the number of the open file and an address in it
Identifier = Any  # h5py's low-level id of a group, a dataset or a named type

_TOLD = 200  # characters of a path
_AHEAD = 64  # objects of a group whose headers are asked for at once
_CHUNK_CACHE = 128 << 20  # chunks up to this size are decoded once, although a block may be a part of one
_KINDS = {h5py.h5o.TYPE_GROUP: "group", h5py.h5o.TYPE_DATASET: "dataset", h5py.h5o.TYPE_NAMED_DATATYPE: "named type"}


def decode(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def encode(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def key_of(where: Any, name: bytes | None = None) -> tuple[Key, str]:
    """The identity and the kind ("group", "dataset", "named type") of an object, or of the one with that name."""
    info = h5py.h5o.get_info(where, name) if name is not None else h5py.h5o.get_info(where)
    return (info.fileno, info.addr), _KINDS.get(info.type, f"object type {info.type}")


def target_of(reference: Any, file: h5py.File) -> Key | None:
    """The identity of the object that a reference leads to; None where there is none."""
    try:
        return key_of(h5py.h5r.dereference(reference, file.id))[0]
    except (OSError, RuntimeError, ValueError):
        return None


class Unreadable(RuntimeError):
    """HDF5 cannot read an object."""


class Place:
    """Where an object is: a name in another place. Whole paths of many objects would take the square of the memory.

    It holds the object's address, too, and opens it by that: a path would be followed from the root each time.
    """

    __slots__ = ("_reference", "depth", "name", "parent")

    def __init__(self, within: Identifier, parent: Place | None = None, name: str = "/") -> None:
        """`within`: the parent, opened, or the file. Raises what h5py does when there is no such object."""
        self.parent, self.name = parent, name
        self.depth: int = parent.depth + 1 if parent else 0
        self._reference = h5py.h5r.create(within, encode(name), h5py.h5r.OBJECT)

    def open(self, file: h5py.File) -> Identifier:
        return h5py.h5r.dereference(self._reference, file.id)

    @property
    def whole(self) -> str:
        """The path as it is, for a server."""
        names, place = [], self
        while place.parent is not None:
            names.append(place.name)
            place = place.parent
        return "/" + "/".join(reversed(names))

    @property
    def path(self) -> str:
        """The path for a person, on one line; of a long one, its end."""
        return self.path_of("")

    def path_of(self, name: str) -> str:
        """The same of what has a name in this place."""
        text, place = f"/{name[-_TOLD:]}" if name else "", self
        while place.parent is not None:
            if len(place.name) + len(text) > _TOLD:
                return f"…{printable((place.name + text)[-_TOLD:])}"
            text, place = f"/{place.name}{text}", place.parent
        return printable(text or "/")


@contextmanager
def reading(place: Place, name: str = "") -> Iterator[None]:
    """Raise Unreadable, with the path of an object or of what has a name in it, when HDF5 cannot read it."""
    try:
        yield
    except Caused:
        raise
    except (KeyError, OSError, RuntimeError, TypeError, ValueError) as error:
        words = error.args[0] if isinstance(error, KeyError) and error.args else error
        raise Unreadable(f"{place.path_of(name)} cannot be read: {words}") from error


@dataclass(frozen=True)
class Item:
    """An object of the file by the first path that leads to it.

    `links` names those of a group (not user-defined ones), `to_root` counts its hard links to the root group;
    `link_count` is how many links of any kind it has, `odd_link` one whose target is a name that is not UTF-8.
    """

    place: Place
    kind: str
    id: Identifier
    links: tuple[str, ...] = ()
    to_root: int = 0
    link_count: int = 0
    odd_link: str = ""

    @property
    def path(self) -> str:
        return self.place.path


def objects(
    file: h5py.File, most_links: int | None = None, ahead: Callable[[Sequence[int]], None] | None = None
) -> Iterator[Item]:
    """Every object that hangs on the root group, once; opens one after the other.

    The links of a group with more than `most_links` are neither listed nor followed. `ahead` is told the addresses of
    the next objects, before HDF5 reads one header after the other.
    """
    root = key_of(file.id, b"/")[0]
    seen = {root}
    waiting = deque([Place(file.id)])
    while waiting:
        place = waiting.popleft()
        with reading(place):
            obj = place.open(file)
            kind = key_of(obj)[1]
            count = obj.get_num_objs() if kind == "group" else 0
            infos = _link_infos(obj) if count and (most_links is None or count <= most_links) else {}
            named = _links(obj, infos)
        keys = {}
        for number, name in enumerate(hard := [name for name, link in named.items() if link[0] == "hard"]):
            with reading(place, name):
                if ahead and number % _AHEAD == 0:
                    ahead([infos[encode(other)].u for other in hard[number : number + _AHEAD]])
                keys[name] = key = key_of(obj, encode(name))[0]
                if key not in seen:
                    seen.add(key)
                    waiting.append(Place(obj, place, name))
        kept = tuple(name for name, link in named.items() if link[0] != "user-defined")
        odd = next((name for name, link in named.items() if not all(map(_is_utf8, link))), "")
        yield Item(place, kind, obj, kept, sum(key == root for key in keys.values()), count, odd)


def _is_utf8(text: str) -> bool:
    """Whether a decoded name was UTF-8."""
    return text.isascii() or not any("\udc80" <= character <= "\udcff" for character in text)


def links(group: h5py.h5g.GroupID) -> dict[str, tuple[str, ...]]:
    """Every link of a group by name: ("hard",), ("soft", path), ("external", file, path) or ("user-defined", class)."""
    return _links(group, _link_infos(group))


def _link_infos(group: h5py.h5g.GroupID) -> dict[bytes, h5py.h5l.LinkInfo]:
    """What HDF5 says of every link of a group, by name: its type, and the address that a hard one leads to."""
    names: list[bytes] = []
    group.links.iterate(names.append)
    return {name: group.links.get_info(name) for name in names}


def _links(group: h5py.h5g.GroupID, infos: Mapping[bytes, h5py.h5l.LinkInfo]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for name, info in infos.items():
        kind = info.type
        if kind == h5py.h5l.TYPE_HARD:
            found[decode(name)] = ("hard",)
        elif kind == h5py.h5l.TYPE_SOFT:
            found[decode(name)] = ("soft", decode(group.links.get_val(name)))
        elif kind == h5py.h5l.TYPE_EXTERNAL:
            file, path = group.links.get_val(name)
            found[decode(name)] = ("external", decode(file), decode(path))
        else:
            found[decode(name)] = ("user-defined", str(kind))
    return found


def in_order_of_creation(group: h5py.h5g.GroupID) -> list[str] | None:
    """The names of a group's links in the order in which they were made, or None when the file does not keep it."""
    if not group.get_create_plist().get_link_creation_order() & h5py.h5p.CRT_ORDER_TRACKED:
        return None
    names: list[bytes] = []
    group.links.iterate(names.append, idx_type=h5py.h5.INDEX_CRT_ORDER)
    return [decode(name) for name in names]


def attributes(obj: Identifier) -> Iterator[tuple[str, h5py.h5a.AttrID]]:
    """All attributes of an object, by their names: to open the n-th one takes n times as long as the first."""
    for name in attribute_names(obj):
        yield decode(name), h5py.h5a.open(obj, name)


def attribute_names(obj: Identifier) -> list[bytes]:
    names: list[bytes] = []
    h5py.h5a.iterate(obj, names.append)
    return names


def shape_of(space: h5py.h5s.SpaceID) -> tuple[int, ...] | None:
    """The extents, () for a scalar, None for a null space."""
    if space.get_simple_extent_type() == h5py.h5s.NULL:
        return None
    return tuple(space.get_simple_extent_dims())


def maxshape_of(space: h5py.h5s.SpaceID) -> tuple[int | None, ...]:
    dims = space.get_simple_extent_dims(True)
    return tuple(None if extent in (h5py.h5s.UNLIMITED, -1, (1 << 64) - 1) else int(extent) for extent in dims)


def attribute_values(attribute: h5py.h5a.AttrID, form: Type, shape: tuple[int, ...]) -> Array:
    """An attribute's elements, flat."""
    count = math.prod(shape)
    if form.is_plain:
        dtype = form.numpy
        raw = np.empty(shape, f"V{dtype.itemsize}")
        attribute.read(raw, attribute.get_type())
        return as_elements(raw, form)
    dtype = attribute.dtype
    base, inner = dtype.subdtype or (dtype, ())
    out = np.empty(shape + inner, base)
    attribute.read(out, h5py.h5t.py_create(dtype))
    return out.reshape((count, *inner))


def extents_of(selection: tuple[slice, ...]) -> tuple[int, ...]:
    """How many elements a selection has along each axis."""
    return tuple(len(range(part.start, part.stop, part.step or 1)) for part in selection)


def as_elements(raw: Array, form: Type) -> Array:
    """Void elements as the numpy type of a plain form, flat; an array type adds its dimensions."""
    dtype = form.numpy
    base, inner = dtype.subdtype or (dtype, ())
    count = raw.size
    return np.ascontiguousarray(raw).reshape(-1).view(base).reshape((count, *inner))


class Dataset:
    """A dataset of the source, opened with a chunk cache that fits its chunks."""

    is_elsewhere = False  # whether its values are in other files

    def __init__(self, file: h5py.File, place: Place) -> None:
        self.id = place.open(file)
        self.properties = self.id.get_create_plist()
        space = self.id.get_space()
        self.shape, self.form = shape_of(space), types.from_hdf5(self.id.get_type())
        self.maxshape = maxshape_of(space) if self.shape else ()
        self.chunks: tuple[int, ...] | None = None
        if self.properties.get_layout() == h5py.h5d.CHUNKED:
            self.chunks = tuple(self.properties.get_chunk())
            size = math.prod(self.chunks) * self.id.get_type().get_size()
            if 1 << 20 < size <= _CHUNK_CACHE and place.parent:
                plist = h5py.h5p.create(h5py.h5p.DATASET_ACCESS)
                plist.set_chunk_cache(521, size, 1.0)
                del self.id  # while it is open, HDF5 keeps the cache that it was opened with
                self.id = h5py.h5d.open(place.parent.open(file), encode(place.name), plist)

    def read(self, selection: tuple[slice, ...]) -> Array:
        """The elements of a selection, flat. Raises OSError or TypeError when HDF5 or h5py cannot read them."""
        if self.form.is_plain:
            return as_elements(self.read_stored(selection), self.form)
        extents, memory, space = self._spaces(selection)
        dtype = self.id.dtype
        base, inner = dtype.subdtype or (dtype, ())
        out = np.empty(extents + inner, base)
        self.id.read(memory, space, out, h5py.h5t.py_create(dtype))
        return out.reshape((math.prod(extents), *inner))

    def read_stored(self, selection: tuple[slice, ...]) -> Array:
        """The elements of a selection as bytes (void), in its shape; of a plain form. Raises as `read` does."""
        extents, memory, space = self._spaces(selection)
        raw = np.empty(extents, f"V{self.form.numpy.itemsize}")
        self.id.read(memory, space, raw, self.id.get_type())
        return raw

    def _spaces(self, selection: tuple[slice, ...]) -> tuple[tuple[int, ...], h5py.h5s.SpaceID, h5py.h5s.SpaceID]:
        """The extents of a selection, and its spaces in memory and in the file."""
        space = self.id.get_space()
        if not selection:
            return (), h5py.h5s.create(h5py.h5s.SCALAR), space
        extents = extents_of(selection)
        steps = tuple(part.step or 1 for part in selection)
        space.select_hyperslab(tuple(part.start for part in selection), extents, steps)
        return extents, h5py.h5s.create_simple(extents), space

    def fill_value(self) -> Array | None:
        """The fill value that the file's author set, as one element; None when it is the default or undefined."""
        if self.properties.fill_value_defined() != h5py.h5d.FILL_VALUE_USER_DEFINED:
            return None
        dtype = self.id.dtype
        base, inner = dtype.subdtype or (dtype, ())
        if h5py.check_string_dtype(dtype) is not None and dtype.kind == "O":
            return np.array([h5py.Dataset(self.id).fillvalue], object)
        out = np.zeros(inner, base)
        self.properties.get_fill_value(out)
        return out.reshape((1, *inner))

    def filters(self) -> list[str]:
        """The filters of its chunks, with "missing" where this machine cannot decode one."""
        found = []
        for index in range(self.properties.get_nfilters()):
            code, _, _, name = self.properties.get_filter(index)
            missing = "" if h5py.h5z.filter_avail(code) else ", missing here"
            found.append(f"{name.decode('ascii', 'replace') or 'unnamed'} ({code}{missing})")
        return found


def blocks(
    shape: tuple[int, ...], grain: tuple[int, ...] | None, elements: int, grains: int
) -> Iterator[tuple[slice, ...]]:
    """Selections that cover `shape`, each of at most `elements` elements and `grains` chunks of the shape `grain`.

    A block is a chunk that is grown over its neighbours while it stays within both limits, or, for a chunk that is
    larger, cut into pieces.
    """
    if 0 in shape:
        return
    block = [min(extent, g) for extent, g in zip(shape, grain or (1,) * len(shape), strict=True)]
    for axis in range(len(shape)):
        while math.prod(block) > elements and block[axis] > 1:
            block[axis] = max(1, min(block[axis] // 2, block[axis] * elements // math.prod(block)))
    chunks = 1
    for axis in reversed(range(len(shape))):
        whole = -(-shape[axis] // block[axis])
        factor = max(1, min(whole, elements // math.prod(block), grains // chunks if grain else whole))
        block[axis] = min(shape[axis], block[axis] * factor)
        chunks *= factor
        if factor < whole:
            break
    yield from _cut(shape, tuple(block))


def _cut(shape: tuple[int, ...], block: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    """Blocks in order, one by one: itertools.product would hold a number for each along an axis."""
    if not shape:
        yield ()
        return
    for first in range(0, shape[0], block[0]):
        for rest in _cut(shape[1:], block[1:]):
            yield (slice(first, min(first + block[0], shape[0])), *rest)


def samples(shape: tuple[int, ...], grain: tuple[int, ...], elements: int, grains: int) -> Iterator[tuple[slice, ...]]:
    """Selections as of `blocks`: all, where there are few, else one chunk at corners of `shape` and in its middle.

    The corners are the first, the last, and those at the other end of one axis: as many as there are dimensions.
    """
    few = list(islice(blocks(shape, grain, elements, grains), len(shape) + 3))
    if len(few) < len(shape) + 3:
        yield from few
        return
    last = [(extent - 1) // part for extent, part in zip(shape, grain, strict=True)]
    places = {(0,) * len(shape), tuple(last), tuple(number // 2 for number in last)}
    places |= {tuple(last[a] if a == axis else 0 for a in range(len(shape))) for axis in range(len(shape))}
    for place in sorted(places):
        bounds = [
            (number * part, min((number + 1) * part, extent))
            for number, part, extent in zip(place, grain, shape, strict=True)
        ]
        inside = next(blocks(tuple(stop - start for start, stop in bounds), None, elements, 1))
        yield tuple(slice(start + s.start, start + s.stop) for (start, _), s in zip(bounds, inside, strict=True))


def halves(selection: tuple[slice, ...]) -> list[tuple[slice, ...]]:
    """A selection cut in two along its first axis with more than one index; [] for a single element."""
    for axis, part in enumerate(selection):
        if part.stop - part.start > 1:
            middle = (part.start + part.stop) // 2
            return [
                (*selection[:axis], half, *selection[axis + 1 :])
                for half in (slice(part.start, middle), slice(middle, part.stop))
            ]
    return []
