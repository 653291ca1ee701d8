"""How values that are in other files get into a domain: external storage, and virtual datasets of other files.

Where each piece of them is a whole chunk, it is linked or copied as it lies, and a chunk table names its object.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import h5py
import numpy as np

from ..hdf5.external import ExternalDataset
from ..hdf5.file import Dataset
from ..hdf5.types import Type
from ..hdf5.virtual import Source, VirtualDataset
from . import chunk_index, layout
from .chunk_index import ChunkFile, ChunkIndex, Integers
from .datatypes import same_bytes
from .layout import PIECE, SMALL_CHUNK, Copied, Decoded, Linked, Plan, Shape, Sliced, slab

_MOST_SMALL = 1024  # chunks below 128 KiB that are linked each alone: HSDS does not merge those of several files


def plan(dataset: Dataset, held: Type, link: bool, max_chunk: int, here: ChunkFile) -> Plan:
    """The best way for a dataset of the file `here`, as of `layout.plan`, also where its values are in other files."""
    there = dataset.shape and 0 not in dataset.shape and same_bytes(dataset.form, held)
    if there and isinstance(dataset, ExternalDataset):
        return _of_external(dataset, layout.item_bytes(dataset, held), link)
    if there and isinstance(dataset, VirtualDataset):
        return _of_virtual(dataset, layout.item_bytes(dataset, held), link, max_chunk, here)
    return layout.plan(dataset, held, link, max_chunk)


# -- external storage --------------------------------------------------------------------------------------------------


def _of_external(dataset: ExternalDataset, item: int, link: bool) -> Plan:
    """Linked in pieces that each lie in one file, or sliced."""
    shape, segments = dataset.shape or (), dataset.segments
    sources = {one.uri: dataset.bytes_of(one.uri) for one in segments}  # opened here, for the threads that read them
    copy = Sliced(slab(shape, item, PIECE), 0, "a piece of it would be in two files", dataset.read_bytes)
    if not link:
        return copy
    if any(one.offset + one.end - one.start > sources[one.uri].size for one in segments):
        return Sliced(copy.chunk, 0, "a file of it ends before its values do", dataset.read_bytes)
    borders = [one.start for one in segments]
    piece = slab(shape, item, min(PIECE, math.gcd(*borders, dataset.nbytes)), divide=True)
    size = math.prod(piece) * item
    if any(border % size for border in borders) or size < min(layout.LEAST_PIECE, dataset.nbytes // len(segments)):
        return copy
    index = layout.slabs(shape, piece, item, 0)
    names = list(sources)
    which = np.searchsorted(np.array(borders), index.offsets, "right") - 1
    shift = np.array([one.offset - one.start for one in segments])
    homes = np.array([names.index(one.uri) for one in segments])
    files = tuple(ChunkFile(uri, source.read) for uri, source in sources.items())
    moved = ChunkIndex(index.places, index.offsets + shift[which], index.sizes, 0, files, homes[which])
    return Linked(piece, piece, moved)


# -- virtual datasets --------------------------------------------------------------------------------------------------


class _NotWhole(Exception):
    """The chunks of the other datasets are not chunks of the virtual one; says why."""


@dataclass(frozen=True)
class _Chunks:
    """Chunks that are some of a virtual dataset: their shape and filters, and where they are in it and in a file."""

    chunk: Shape
    filters: tuple[str, ...]
    level: int | None
    index: ChunkIndex


def _of_virtual(dataset: VirtualDataset, item: int, link: bool, max_chunk: int, here: ChunkFile) -> Plan:
    """Linked or copied by chunks where these are whole, or read element by element."""
    try:
        found = _whole_chunks(dataset, item, here)
        size = math.prod(found.chunk) * item
        if link:
            return Linked(found.chunk, found.chunk, found.index, found.filters, found.level)
        if size > max(layout.LARGE_CHUNK, max_chunk // 4):
            raise _NotWhole(f"its chunks have {size:,} bytes")
        return Copied(found.chunk, found.index, found.filters, found.level)
    except _NotWhole as why:
        return Decoded(slab(dataset.shape or (), item, PIECE), why=f"it is virtual, and {why}")


def _whole_chunks(dataset: VirtualDataset, item: int, here: ChunkFile) -> _Chunks:
    """The chunks of all parts. Raises _NotWhole."""
    files: dict[str, tuple[int, ChunkFile]] = {}  # with their numbers, in the order in which they come
    found: list[_Chunks] = []
    homes: list[Integers] = []
    count = 0
    stored: tuple[Dataset, _Chunks] | None = None  # all of the last dataset, which may be that of many parts
    for source in dataset.sources([part for part in dataset.parts if all(part.ours)]):
        if not stored or stored[0] is not source.dataset:
            stored = source.dataset, _stored_chunks(source, item)
        chunks = _chunks_of(dataset, source, stored[1])
        if found and (chunks.chunk, chunks.filters) != (found[0].chunk, found[0].filters):
            raise _NotWhole(f"{source.where} has other chunks or filters than the ones before")
        uri = source.part.uri
        file = ChunkFile(uri, source.stream.source.read) if source.stream else here
        number, _ = files.setdefault(uri, (len(files), file))
        found.append(chunks)
        homes.append(np.full(len(chunks.index), number, np.int64))
        count, size = count + len(chunks.index), math.prod(chunks.chunk) * item
        if size < SMALL_CHUNK and count > _MOST_SMALL:
            raise _NotWhole(f"it has more than {_MOST_SMALL:,} chunks, of {size:,} bytes each")
    if not found:
        raise _NotWhole("nothing is mapped to it")
    places, offsets, sizes = (
        np.concatenate([getattr(one.index, name) for one in found]) for name in ("places", "offsets", "sizes")
    )
    if len(np.unique(places, axis=0)) < len(places):
        raise _NotWhole("its parts overlap")
    index = ChunkIndex(places, offsets, sizes, 0, tuple(file for _, file in files.values()), np.concatenate(homes))
    return replace(found[0], index=index)


def _chunks_of(dataset: VirtualDataset, source: Source, theirs: _Chunks) -> _Chunks:
    """The chunks of one part, of those of its dataset. Raises _NotWhole."""
    ours = source.part.ours
    chunk, places = [1] * len(ours), np.zeros((len(theirs.index), len(ours)), np.int64)
    places[:] = [one[0] for one in ours]
    inside, expected = np.ones(len(places), bool), 1
    for axis, (indices, extent) in enumerate(zip(source.theirs, theirs.chunk, strict=True)):
        at = theirs.index.places[:, axis]
        becomes = source.axes.get(axis)
        if extent == 1:
            inside &= (at >= indices.start) & (at <= indices[-1]) & ((at - indices.start) % indices.step == 0)
            moved = (at - indices.start) // indices.step
            expected *= len(indices)
        else:
            if becomes is None or not _is_aligned(dataset, becomes, ours[becomes], indices, extent):
                raise _NotWhole(f"{source.where} has chunks of which only a part is mapped")
            inside &= (at >= indices.start // extent) & (at * extent < indices.stop)
            moved = at - indices.start // extent
            expected *= -(-len(indices) // extent)
        if becomes is not None:
            chunk[becomes] = extent
            # chunks of more than one index follow each other
            places[:, becomes] = ours[becomes].start // extent + moved * ours[becomes].step
    if inside.sum() < expected and _stored_fill(source.dataset) != _stored_fill(dataset):
        raise _NotWhole(f"{source.where} has another fill value, and chunks that were never written")
    index = theirs.index
    kept = ChunkIndex(places[inside], index.offsets[inside], index.sizes[inside])
    return replace(theirs, chunk=tuple(chunk), index=kept)


def _is_aligned(dataset: VirtualDataset, axis: int, ours: range, theirs: range, extent: int) -> bool:
    """Whether the indices of an axis, in chunks of more than one index, are the same whole chunks on both sides."""
    shape = dataset.shape or ()
    # at the end, a chunk may reach past the last index, as long as nothing can grow into that
    is_last = ours.stop == shape[axis] == dataset.maxshape[axis]
    return (
        (ours.step, theirs.step) == (1, 1)
        and ours.start % extent == theirs.start % extent == 0
        and (is_last or ours.stop % extent == 0)
    )


def _stored_chunks(source: Source, item: int) -> _Chunks:
    """All chunks of the dataset of a part; of a contiguous one, pieces. Raises _NotWhole."""
    dataset = source.dataset
    shape, kind = dataset.shape or (), dataset.properties.get_layout()
    if kind == h5py.h5d.CHUNKED and dataset.chunks:
        names, index = chunk_index.filters(dataset.id), chunk_index.read(dataset.id, shape)
        why = chunk_index.unreadable_filters(names)
        if why or index.skipped:
            raise _NotWhole(f"{source.where} has {why or 'chunks that may have skipped a filter'}")
        return _Chunks(dataset.chunks, names, chunk_index.gzip_level(dataset.id), index)
    if kind != h5py.h5d.CONTIGUOUS or not shape:
        raise _NotWhole(f"{source.where} has no chunks")
    piece, offset = slab(shape, item, PIECE, divide=True), dataset.id.get_offset()
    if math.prod(piece) * item < min(layout.LEAST_PIECE, math.prod(shape) * item):
        raise _NotWhole(f"{source.where} has no chunks, and extents without divisors")
    index = layout.slabs(shape, piece, item, offset or 0)
    if offset is None:  # nothing was written
        index = index.none()
    return _Chunks(piece, (), None, index)


def _stored_fill(dataset: Dataset) -> bytes:
    """The bytes of an element that nobody wrote."""
    fill = dataset.fill_value()
    return bytes(dataset.form.numpy.itemsize) if fill is None else fill.tobytes()
