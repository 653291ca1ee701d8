"""How the values of one dataset get into a domain: linked, copied as they lie, or through the HDF5 library."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import h5py
import numpy as np

from ..hdf5.file import Dataset
from ..hdf5.types import Type
from . import chunk_index
from .chunk_index import ChunkIndex, Integers, Read
from .datatypes import same_bytes

INLINE_CHUNKS = 30  # links of a dataset that are kept in its JSON; more are a table
SMALL_CHUNK = 128 << 10  # bytes; the request for a smaller chunk costs more than its bytes
LARGE_CHUNK = 32 << 20
_MERGED = 1 << 20
PIECE = 4 << 20
LEAST_PIECE = 64 << 10  # of a contiguous dataset whose extents have few divisors
# HSDS names all chunks of the file that make one of its own in a request line of 8,190 bytes
_MOST_MERGED = 128
_VARIABLE_ELEMENTS = 1 << 16

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Decoded:
    """The library reads chunk after chunk of a shape; `occupied`: which have values, None for all.

    `level` is the gzip level to store them with, None for none.
    """

    chunk: Shape
    occupied: set[Shape] | None = None
    level: int | None = None
    why: str = ""  # not in a better way


@dataclass(frozen=True)
class Copied:
    """The chunks of the file are those of the domain, byte for byte."""

    chunk: Shape
    index: ChunkIndex
    filters: tuple[str, ...]
    level: int | None = None


@dataclass(frozen=True)
class Sliced:
    """A contiguous dataset without filters, from an offset of the file on, in chunks that are each one run of bytes.

    `read` is for bytes that are not in the file itself.
    """

    chunk: Shape
    offset: int
    why: str = ""  # not linked
    read: Read | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Linked:
    """The chunks stay in the file: the domain's, of the shape `chunk`, are made of the file's, of the shape `part`."""

    chunk: Shape
    part: Shape
    index: ChunkIndex = field(repr=False)
    filters: tuple[str, ...] = ()
    level: int | None = None


@dataclass(frozen=True)
class Empty:
    """There are no values; `chunk` is that of the values to come, None for a null space."""

    chunk: Shape | None


Plan = Decoded | Copied | Sliced | Linked | Empty


def plan(dataset: Dataset, held: Type, link: bool, max_chunk: int) -> Plan:
    """The best way for a dataset of a held type; with `link`, a link where HSDS can read one.

    `why` of a Decoded says what was in the way of a better one. A chunk above a quarter of `max_chunk` bytes, and above
    32 MiB, is not copied whole.
    """
    shape = dataset.shape
    if shape is None:
        return Empty(None)
    if not shape:
        return Decoded((1,), why="it is a scalar")
    item = item_bytes(dataset, held)
    if 0 in shape:
        return Empty(_first_chunk(dataset, item))
    if not same_bytes(dataset.form, held):
        return _decoded(dataset, item, f"HSDS keeps {dataset.form} in another form than the file")
    layout = dataset.properties.get_layout()
    if layout == h5py.h5d.CHUNKED:
        return _of_chunked(dataset, item, link, max_chunk)
    if layout == h5py.h5d.CONTIGUOUS:
        return _of_contiguous(dataset, item, link)
    kind = "compact" if layout == h5py.h5d.COMPACT else "virtual"
    return _decoded(dataset, item, f"it is {kind}: its values are not in chunks of its own")


def item_bytes(dataset: Dataset, held: Type) -> int:
    """The bytes of one element, or their upper bound where elements vary in size."""
    if not held.is_variable:
        return max(1, held.numpy.itemsize)
    # no more than all bytes of the file are in its elements
    count = math.prod(dataset.shape or ())
    file_bytes = int(h5py.h5i.get_file_id(dataset.id).get_filesize())
    return max(PIECE // _VARIABLE_ELEMENTS, file_bytes // max(1, count))


def _of_chunked(dataset: Dataset, item: int, link: bool, max_chunk: int) -> Plan:
    shape, chunk = dataset.shape or (), dataset.chunks or ()
    names = chunk_index.filters(dataset.id)
    level = chunk_index.gzip_level(dataset.id)
    index = chunk_index.read(dataset.id, shape)
    why = chunk_index.unreadable_filters(names)
    if not why and index.skipped:
        why = f"{index.skipped} chunks may have skipped a filter, which HSDS does not know"
    if why:
        return _decoded(dataset, item, why, index)
    size = math.prod(chunk) * item
    if link:
        alone = len(index) <= INLINE_CHUNKS or size >= SMALL_CHUNK
        whole = chunk if alone else merged(chunk, shape, item, _MOST_MERGED)
        return Linked(whole, chunk, index, names, level)
    if (len(index) <= 1 or size >= SMALL_CHUNK) and size <= max(LARGE_CHUNK, max_chunk // 4):
        return Copied(chunk, index, names, level)
    return _decoded(dataset, item, f"its chunks have {size:,} bytes", index)


def _of_contiguous(dataset: Dataset, item: int, link: bool) -> Plan:
    shape, offset = dataset.shape or (), dataset.id.get_offset()
    piece = slab(shape, item, PIECE)
    if offset is None:
        return Empty(piece)
    if not link:
        return Sliced(piece, offset)
    end = h5py.h5i.get_file_id(dataset.id).get_filesize()
    if offset + reach(shape, piece, item) > end:
        piece = slab(shape, item, PIECE, divide=True)
        if math.prod(piece) * item < min(LEAST_PIECE, math.prod(shape) * item):
            why = "it lies at the end of the file, and HSDS would read past that: its extents have no divisors"
            return Sliced(slab(shape, item, PIECE), offset, why)
    return Linked(piece, piece, slabs(shape, piece, item, offset))


def slab(shape: Shape, item: int, most: int, divide: bool = False) -> Shape:
    """A chunk shape whose every chunk is one run of elements: 1, …, 1, some rows, and all of the axes behind them.

    It has `most` bytes at most (or one element). With `divide`, the rows divide their axis, so that no chunk ends
    behind the last one.
    """
    chunk, size = [1] * len(shape), item
    for axis in reversed(range(len(shape))):
        rows = min(shape[axis], max(1, most // size))
        if divide:
            rows = next(number for number in range(rows, 0, -1) if shape[axis] % number == 0)
        chunk[axis] = rows
        size *= rows
        if rows < shape[axis]:
            break
    return tuple(chunk)


def chunk_counts(shape: Shape, chunk: Shape) -> Shape:
    """How many chunks there are along each axis."""
    return tuple(-(-extent // part) for extent, part in zip(shape, chunk, strict=True))


def _places(shape: Shape, chunk: Shape) -> Integers:
    """All chunks of a dataset, in C order: shape (n, rank)."""
    counts = chunk_counts(shape, chunk)
    return np.stack(np.unravel_index(np.arange(math.prod(counts)), counts), axis=1).astype(np.int64)


def _strides(shape: Shape, item: int) -> Integers:
    """Bytes from one element to the next, along each axis."""
    return np.array([math.prod(shape[axis + 1 :]) * item for axis in range(len(shape))], np.int64)


def slabs(shape: Shape, piece: Shape, item: int, offset: int) -> ChunkIndex:
    """The pieces of a contiguous dataset as if they were chunks of the file."""
    places = _places(shape, piece)
    offsets = offset + (places * np.array(piece)) @ _strides(shape, item)
    return ChunkIndex(places, offsets, np.full(len(places), math.prod(piece) * item, np.int64))


def runs(shape: Shape, piece: Shape, item: int) -> tuple[Integers, Integers, Integers]:
    """The pieces of a contiguous dataset: places, first byte, and bytes that are there, which are fewer at the edge."""
    index = slabs(shape, piece, item, 0)
    axis = next((a for a, rows in enumerate(piece) if rows > 1), len(piece) - 1)
    rows = np.minimum(piece[axis], shape[axis] - index.places[:, axis] * piece[axis])
    return index.places, index.offsets, rows * (math.prod(piece[axis + 1 :]) * item)


def reach(shape: Shape, piece: Shape, item: int) -> int:
    """How many bytes from its start HSDS reads of a contiguous dataset: all pieces whole, also the last one."""
    last = np.array(chunk_counts(shape, piece)) - 1
    start = int((last * np.array(piece)) @ _strides(shape, item))
    return start + math.prod(piece) * item


def merged(chunk: Shape, shape: Shape, item: int, most: int = 1 << 62) -> Shape:
    """A chunk of about 1 MiB made of smaller ones, `most` at most: doubled, last axis first, inside of the shape."""
    out = list(chunk)
    while math.prod(out) * item < _MERGED and 2 * math.prod(out) <= most * math.prod(chunk):
        axis = next((a for a in reversed(range(len(out))) if out[a] < shape[a]), None)
        if axis is None:
            break
        out[axis] *= 2
    return tuple(out)


def _decoded(dataset: Dataset, item: int, why: str, index: ChunkIndex | None = None) -> Decoded:
    """Through the library, in chunks of some MiB: the file's, several of them, or a part of one."""
    shape, chunk = dataset.shape or (), dataset.chunks
    if chunk is None:
        return Decoded(slab(shape, item, PIECE), why=why)
    size = math.prod(chunk) * item
    if size > LARGE_CHUNK:
        whole = slab(chunk, item, PIECE)
    else:
        whole = chunk if size >= SMALL_CHUNK else merged(chunk, shape, item)
    occupied = None
    if index is None:
        index = chunk_index.read(dataset.id, shape)
    if size <= LARGE_CHUNK:
        places = index.places // (np.array(whole) // np.array(chunk))
        occupied = set(map(tuple, np.unique(places, axis=0).tolist()))
    level = chunk_index.gzip_level(dataset.id)
    if level is None and set(chunk_index.filters(dataset.id)) - {"shuffle", "fletcher32"}:
        level = 1  # it was compressed by a filter that HSDS does not know
    return Decoded(whole, occupied, level, why)


def _first_chunk(dataset: Dataset, item: int) -> Shape:
    """The chunk of a dataset without values, which may grow."""
    if dataset.chunks:
        return dataset.chunks
    return slab(tuple(max(1, extent) for extent in dataset.shape or ()), item, PIECE)


def needs_table(plan: Linked) -> bool:
    """Whether the places of the chunks are a table of their own, and not a part of the dataset's JSON."""
    return len(plan.index) > INLINE_CHUNKS or plan.part != plan.chunk or len(plan.index.files) > 1


def to_json(plan: Plan, uri: str, table: str | None) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """ "layout" of a dataset and of its creation properties; `table` is the id of the chunk table of a link."""
    if plan.chunk is None:
        return None, None
    chunked = {"class": "H5D_CHUNKED", "dims": list(plan.chunk)}
    if not isinstance(plan, Linked):
        return chunked, chunked
    uris = [file.uri for file in plan.index.files] or [uri]
    # of several, the table says for each chunk which it is in
    where = {"file_uri": uris[0]} if len(uris) == 1 else {}
    if table is None:
        chunks = {
            "_".join(map(str, place)): [int(offset), int(size)]
            for place, offset, size in zip(
                plan.index.places.tolist(), plan.index.offsets, plan.index.sizes, strict=True
            )
        }
        return chunked, {"class": "H5D_CHUNKED_REF", **where, "dims": list(plan.chunk), "chunks": chunks}
    linked = {
        "class": "H5D_CHUNKED_REF_INDIRECT",
        **where,
        "dims": list(plan.chunk),
        "chunk_table": table,
    }
    if plan.part != plan.chunk:
        linked["hyper_dims"] = list(plan.part)
    return chunked, linked


def filters_to_json(names: tuple[str, ...], level: int | None) -> list[dict[str, Any]]:
    """The filters of a dataset, which HSDS undoes when it reads a chunk."""
    known: dict[str, dict[str, Any]] = {
        "shuffle": {"class": "H5Z_FILTER_SHUFFLE", "id": 2, "name": "shuffle"},
        "deflate": {"class": "H5Z_FILTER_DEFLATE", "id": 1, "level": level, "name": "gzip"},
    }
    return [known[name] for name in names]
