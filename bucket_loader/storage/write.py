"""The objects of a file, written as HSDS keeps them, below a root that no domain names yet."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import h5py

from ..causes import Trouble
from ..hdf5 import types
from ..hdf5.anywhere import open_dataset
from ..hdf5.domain import COLLECTIONS
from ..hdf5.elsewhere import values_elsewhere
from ..hdf5.file import (
    Dataset,
    Identifier,
    Item,
    Key,
    attribute_values,
    attributes,
    encode,
    in_order_of_creation,
    key_of,
    links,
    objects,
    reading,
    shape_of,
    target_of,
)
from ..hdf5.types import Type
from ..log import printable
from . import chunks, datatypes, elements, elsewhere, ids, layout
from .chunk_index import ChunkFile
from .chunks import ChunkWriter, Sizes
from .layout import Copied, Decoded, Linked, Sliced
from .oversize import MAX_MEMBERS, SizeLimits, Unwritten, too_large_a_chunk, too_many_members, too_much_unwritten
from .source import Opened
from .transfers import Transfers

_TICK = 1e-6  # seconds between two links or attributes: HSDS knows the order of their creation by their times
_EARLY = 1 << 20  # bytes; a smaller dataset is not worth a look beside the first walk
LEAST_LINKED = 513  # elements; whoever wants links does not miss those of a smaller dataset
# entries of a chunk table: where a chunk is, and in which object where these are several
_OFFSET = types.Member(name="offset", offset=0, type=types.Integer(size=8, order="LE", signed=True))
_SIZE = types.Member(name="size", offset=8, type=types.Integer(size=4, order="LE", signed=True))
# "ASCII": HSDS decodes the name itself, as UTF-8, and fails where that is done already
_NAME = types.Member(name="file_uri", offset=12, type=types.String(length=None, charset="ASCII", padding="NULLTERM"))
_PLACE = types.Compound(size=12, members=(_OFFSET, _SIZE))
_NAMED_PLACE = types.Compound(size=12 + _NAME.type.stored_size, members=(_OFFSET, _SIZE, _NAME))
_LETTERS = {"group": "g", "dataset": "d", "named type": "t"}


class Unholdable(Trouble):
    """Something in the file that HSDS cannot hold, or cannot give back."""


@dataclass(frozen=True)
class Destination:
    """Where to: a bucket and the digits of a root in it."""

    bucket: str
    root: str


@dataclass(frozen=True)
class Wish:
    """How: `link` the data of the source object `uri` where `readers` can read it; `copy` what cannot, or refuse it."""

    uri: str
    link: bool
    copy: bool
    limits: SizeLimits = field(default_factory=SizeLimits)
    readers: Sequence[str] = ()  # versions of HSDS


@dataclass
class Written:
    """What was written: objects by kind, and of datasets with values how many are linked and how many copied.

    `copied_why`: of the first one that was to be linked.
    """

    groups: int = 0
    datasets: int = 0
    types: int = 0
    linked: int = 0
    copied: int = 0
    copied_why: str = ""
    metadata_bytes: int = 0
    sizes: dict[str, Sizes] = field(default_factory=dict)

    def counts(self) -> dict[str, Any]:
        """All but the sizes of each dataset."""
        return {name: value for name, value in vars(self).items() if name != "sizes"}


class Writer:
    """Writes one file."""

    def __init__(self, of: Opened, wish: Wish, destination: Destination, transfers: Transfers) -> None:
        self._file, self._wish, self._destination, self._transfers = of.file, wish, destination, transfers
        self._reading_values, self._fetch_ahead = of.reading_values, of.fetch_ahead
        self._beside, self._here = of.beside, ChunkFile(wish.uri, of.read)
        self._chunks = ChunkWriter(transfers, of.read, wish.limits.chunk)
        self._ids: dict[Key, str] = {}
        self._begun: dict[str, layout.Plan] = {}  # by the ids of datasets whose values are on their way
        self._unwritten = Unwritten(of.file, wish.limits.unwritten)
        self._now = time.time()
        self._objects = self._done = 0
        self.written = Written()

    def write(self) -> Written:
        """Return when all is under the root.

        Raises Unholdable for what HSDS cannot hold, Unreadable for what HDF5 cannot read, and the store's errors.
        """
        places = []
        for item in objects(self._file, MAX_MEMBERS, self._fetch_ahead):
            with reading(item.place):
                self._expect_holdable(item)
                letter = _LETTERS[item.kind]
                root = item.place.parent is None
                identity = ids.root_id(self._destination.root) if root else ids.new_id(letter, self._destination.root)
                self._ids[key_of(item.id)[0]] = identity
                if item.kind == "dataset":
                    self._begin(item, identity)
                places.append((item.place, identity))
        self._objects = len(places)
        for place, identity in places:
            with reading(place):
                obj = place.open(self._file)
                body: dict[str, Any] = {"id": identity, "root": ids.root_id(self._destination.root)} | self._times()
                if identity[0] == "g":
                    body |= self._group(obj)
                elif identity[0] == "d":
                    body |= self._dataset(open_dataset(self._file, place, self._beside), identity, place.path)
                else:
                    body |= self._named_type(obj, place.path)
                body["attributes"] = self._attributes(obj, place.path)
            self._put_json(ids.object_key(identity), body)
            self._done += 1
        if self._chunks.compresses:
            self._transfers.wait()
        self._put_json(ids.info_key(self._destination.root), self._info())
        self._transfers.wait()
        return self.written

    def _expect_holdable(self, item: Item) -> None:
        """Raise Unholdable for what HSDS cannot hold of an object, apart from its attributes."""
        if item.kind not in _LETTERS:
            raise Unholdable(f"{item.path} is of {item.kind}, which HSDS does not know")
        path = item.path
        if refused := too_many_members(path, item.link_count + h5py.h5a.get_num_attrs(item.id)):
            raise Unholdable(refused)
        if item.kind == "group":
            for name, link in links(item.id).items():
                if link[0] == "user-defined":
                    where = f"link {item.place.path_of(name)}"
                    raise Unholdable(f"{where} is user-defined (class {link[1]}): HSDS has no such links")
        else:
            tid = item.id.get_type() if item.kind == "dataset" else item.id
            self._held(tid, f"{item.kind} {path}", item.kind == "dataset")
        if item.kind == "dataset":
            if values_elsewhere(path, item.id):
                open_dataset(self._file, item.place, self._beside)
            self._unwritten.add(item.id)
            limits = self._wish.limits
            if refused := (
                too_large_a_chunk(path, item.id, limits.chunk)
                or too_much_unwritten(path, self._unwritten.size, limits.unwritten)
            ):
                raise Unholdable(refused)

    def _begin(self, item: Item, identity: str) -> None:
        """Copy the values of a dataset beside the first walk, which mostly waits for the store, where all have room.

        What is refused further on has been copied for nothing, but no more than the walk took.
        """
        if self._wish.link or values_elsewhere(item.path, item.id):
            return
        if not _EARLY <= item.id.get_storage_size() <= self._transfers.room:
            return
        source = Dataset(self._file, item.place)
        held = self._held(item.id.get_type(), f"dataset {item.path}", of_dataset=True)[1]
        plan = self._plan(source, held)
        if isinstance(plan, Copied | Sliced):
            self._values(plan, source, held, identity, item.path)
            self._begun[identity] = replace(plan, index=plan.index.none()) if isinstance(plan, Copied) else plan

    def progress(self) -> dict[str, int]:
        """How far it has come, for another thread: objects that are there at least, `of` how many, and bytes."""
        there = max(0, self._done - self._transfers.pending)
        return {"objects": there, "of": self._objects, "bytes": self._transfers.traffic.put_bytes}

    def _times(self) -> dict[str, float]:
        return {"created": self._now, "lastModified": self._now}

    def _put_json(self, key: str, body: Mapping[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.written.metadata_bytes += len(data)
        self._transfers.put_soon(key, data)

    # -- groups and named types ----------------------------------------------------------------------------------------

    def _group(self, group: h5py.h5g.GroupID) -> dict[str, Any]:
        self.written.groups += 1
        found = links(group)
        in_order = in_order_of_creation(group)
        made: dict[str, Any] = {}
        for number, name in enumerate(found if in_order is None else in_order):
            made[name] = self._link(group, name, found[name]) | {"created": self._now + number * _TICK}
        properties = {} if in_order is None else {"creationProperties": {"CreateOrder": 1}}
        return {"links": made} | properties

    def _link(self, group: h5py.h5g.GroupID, name: str, link: tuple[str, ...]) -> dict[str, Any]:
        if link[0] == "hard":
            return {"class": "H5L_TYPE_HARD", "id": self._ids[key_of(group, encode(name))[0]]}
        if link[0] == "soft":
            return {"class": "H5L_TYPE_SOFT", "h5path": link[1]}
        return {"class": "H5L_TYPE_EXTERNAL", "h5domain": link[1], "h5path": link[2]}

    def _named_type(self, tid: h5py.h5t.TypeID, path: str) -> dict[str, Any]:
        self.written.types += 1
        return {"type": datatypes.to_json(self._held(tid, f"named type {path}")[1])}

    # -- types and attributes ------------------------------------------------------------------------------------------

    def _held(self, tid: h5py.h5t.TypeID, what: str, of_dataset: bool = False) -> tuple[Type, Type]:
        """The type of an object or attribute, in the file and as the domain holds it.

        Raises Unholdable; `what` names what has it.
        """
        form = types.from_hdf5(tid)
        try:
            dtype = None if form.is_plain else tid.dtype
        except TypeError:
            dtype = None
        held = datatypes.as_held(form, dtype)
        if problem := datatypes.problem(held, of_dataset, self._wish.readers):
            raise Unholdable(f"{what} has {problem}")
        return form, held

    def _type_json(self, tid: h5py.h5t.TypeID, held: Type) -> dict[str, Any]:
        """The JSON of a type, with the id of the named type that it is."""
        item = datatypes.to_json(held)
        if tid.committed() and (named := self._ids.get(key_of(tid)[0])):
            item["id"] = named
        return item

    def _attributes(self, obj: Identifier, path: str) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for number, (name, attribute) in enumerate(attributes(obj)):
            what = f"attribute {printable(name)} of {path}"
            tid, shape = attribute.get_type(), shape_of(attribute.get_space())
            form, held = self._held(tid, what)
            made[name] = {
                "type": self._type_json(tid, held),
                "shape": _shape_json(shape),
                "value": None,
                "created": self._now + number * _TICK,
            }
            if shape is not None and 0 not in shape:
                try:
                    values = attribute_values(attribute, form, shape)
                    made[name] |= elements.to_json(values, held, shape, self._refer)
                except elements.TooLarge as error:
                    raise Unholdable(f"{what} has {error}") from error
        return made

    def _refer(self, reference: Any) -> str:
        """A reference as HSDS keeps it: "" for a null one, and for one to an object without a path."""
        key = target_of(reference, self._file) if reference else None
        identity = self._ids.get(key) if key else None
        return f"{COLLECTIONS[identity[0]]}/{identity}" if identity else ""

    # -- datasets ------------------------------------------------------------------------------------------------------

    def _dataset(self, source: Dataset, identity: str, path: str) -> dict[str, Any]:
        """Write the chunks of a dataset; its JSON."""
        self.written.datasets += 1
        tid = source.id.get_type()
        _, held = self._held(tid, f"dataset {path}", of_dataset=True)
        plan, table = self._begun.pop(identity, None), None
        if plan is None:
            plan = self._plan(source, held)
            table = self._values(plan, source, held, identity, path)
        whole, made_with = layout.to_json(plan, self._wish.uri, table)
        properties: dict[str, Any] = elements.fill_value(source.fill_value(), held, self._refer)
        if filters := _filters(plan, held):
            properties["filters"] = filters
        if made_with is not None:
            properties["layout"] = made_with
        body = {
            "type": self._type_json(tid, held),
            "shape": _shape_json(source.shape, source.maxshape),
            "creationProperties": properties,
        }
        if source.shape is not None and not held.is_variable:
            self.written.sizes[identity].logical = math.prod(source.shape) * held.numpy.itemsize
        return body | ({"layout": whole} if whole else {})

    def _plan(self, source: Dataset, held: Type) -> layout.Plan:
        return elsewhere.plan(source, held, self._wish.link, self._wish.limits.chunk, self._here)

    def _values(self, plan: layout.Plan, source: Dataset, held: Type, identity: str, path: str) -> str | None:
        """Write the values; the id of the chunk table, where there is one."""
        shape, sizes = source.shape or (), self.written.sizes.setdefault(identity, Sizes())
        if self._wish.link and isinstance(plan, Decoded | Sliced) and _is_worth_a_link(shape, held):
            why = f"dataset {path} is not linked: {plan.why}"
            if not self._wish.copy:
                raise Unholdable(why)
            self.written.copied_why = self.written.copied_why or why
        match plan:
            case Linked():
                self.written.linked += 1
                sizes.linked_chunks, sizes.linked = len(plan.index), int(plan.index.sizes.sum())
                return self._chunk_table(plan, shape) if layout.needs_table(plan) else None
            case Copied():
                self._chunks.copy(plan, identity, sizes)
            case Sliced():
                self._chunks.slice(plan, shape, held.numpy.itemsize, identity, sizes)
            case Decoded():
                try:
                    with self._reading_values():
                        self._chunks.decode(plan, source, held, self._refer, identity, sizes)
                except elements.TooLarge as error:
                    raise Unholdable(f"dataset {path} has {error}") from error
        self.written.copied += not isinstance(plan, layout.Empty)
        return None

    def _chunk_table(self, plan: Linked, shape: layout.Shape) -> str:
        """Write the places of a dataset's chunks as a dataset that no link leads to; its id."""
        identity = ids.new_id("d", self._destination.root)
        sizes = self.written.sizes[identity] = Sizes()
        dims, chunk = self._chunks.table(plan, shape, identity, sizes)
        sizes.logical = math.prod(dims) * chunks.TABLE_TYPE.itemsize
        several = len(plan.index.files) > 1
        chunked = {"class": "H5D_CHUNKED", "dims": list(chunk)}
        body = {
            "id": identity,
            "root": ids.root_id(self._destination.root),
            "type": datatypes.to_json(_NAMED_PLACE if several else _PLACE),
            "shape": _shape_json(dims),
            "layout": chunked,
            "creationProperties": {"layout": chunked},
            "attributes": {},
        }
        self._put_json(ids.object_key(identity), body | self._times())
        return identity

    def _info(self) -> dict[str, Any]:
        """What HSDS makes of a scan of the root's keys, for `hsls -v` and the like: sizes in bytes."""
        written = self.written
        datasets = {
            identity: {
                "lastModified": self._now,
                "num_chunks": sizes.chunks,
                "allocated_bytes": sizes.stored,
                "logical_bytes": sizes.logical or sizes.stored,
                "linked_bytes": sizes.linked,
                "num_linked_chunks": sizes.linked_chunks,
            }
            for identity, sizes in written.sizes.items()
        }
        totals = {
            name: sum(entry[name] for entry in datasets.values())
            for name in ("num_chunks", "allocated_bytes", "logical_bytes", "linked_bytes", "num_linked_chunks")
        }
        return totals | {
            "lastModified": self._now,
            "num_groups": written.groups,
            "num_datatypes": written.types,
            "datasets": datasets,
            "metadata_bytes": written.metadata_bytes,
            "bucket": self._destination.bucket,
            "scan_start": self._now,
            "scan_complete": time.time(),
        }


def _is_worth_a_link(shape: layout.Shape, held: Type) -> bool:
    """Whether somebody who wants links would miss one: not for small data, nor for values in heaps."""
    return not held.is_variable and math.prod(shape) >= LEAST_LINKED


def _filters(plan: layout.Plan, held: Type) -> list[dict[str, Any]]:
    if isinstance(plan, Linked | Copied):
        return layout.filters_to_json(plan.filters, plan.level)
    if isinstance(plan, Decoded) and plan.level is not None:
        several = not held.is_variable and held.numpy.itemsize > 1
        return layout.filters_to_json(("shuffle", "deflate") if several else ("deflate",), plan.level)
    return []


def _shape_json(shape: layout.Shape | None, maxshape: tuple[int | None, ...] = ()) -> dict[str, Any]:
    if shape is None:
        return {"class": "H5S_NULL"}
    if not shape:
        return {"class": "H5S_SCALAR"}
    limits = {"maxdims": [extent or 0 for extent in maxshape]} if maxshape and maxshape != shape else {}
    return {"class": "H5S_SIMPLE", "dims": list(shape)} | limits
