"""The chunks of a dataset, from the file to the bucket."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ..hdf5.file import Dataset
from ..hdf5.types import Type
from ..hdf5.values import Array
from . import elements, ids, layout
from .chunk_index import ChunkIndex, Integers, Read
from .elements import Refer
from .layout import Copied, Decoded, Linked, Shape, Sliced
from .transfers import Transfers

_RUN = 8 << 20  # bytes of neighbouring chunks that are read with one request
_GAP = 64 << 10  # bytes between two chunks that are read and thrown away, rather than ask twice
_TABLE_CHUNK = 4 << 20
TABLE_TYPE = np.dtype([("offset", "<i8"), ("size", "<i4")])


@dataclass
class Sizes:
    """What was stored of a dataset, for its domain's summary: chunks and bytes, here and in the source, and the bytes
    of its values; 0 where these vary in size: then it is what is stored."""

    chunks: int = 0
    stored: int = 0
    linked_chunks: int = 0
    linked: int = 0
    logical: int = 0


class ChunkWriter:
    """Writes the chunks of datasets."""

    def __init__(self, transfers: Transfers, read: Read, max_chunk: int) -> None:
        """`read` gives bytes of the source, in any thread; a chunk that is made here has `max_chunk` bytes at most."""
        self._transfers, self._read, self._max_chunk = transfers, read, max_chunk
        self.compresses = False  # how much is stored is known when the transfers are done

    def copy(self, plan: Copied, dataset: str, sizes: Sizes) -> None:
        """Put each chunk of a file under the dataset's id; neighbours are read at once."""
        index = plan.index
        sizes.chunks, sizes.stored = len(index), int(index.sizes.sum())
        if index.homes is None:
            self._copy_of(self._read, np.arange(len(index)), index, dataset)
            return
        for home, file in enumerate(index.files):
            self._copy_of(file.read, np.flatnonzero(index.homes == home), index, dataset)

    def _copy_of(self, read: Read, chosen: Integers, index: ChunkIndex, dataset: str) -> None:
        """Put the chosen chunks, which are in one file."""
        order = chosen[np.argsort(index.offsets[chosen], kind="stable")]
        places, offsets, lengths = index.places[order], index.offsets[order], index.sizes[order]
        for first, last in _neighbours(offsets, lengths):
            run = slice(first, last)
            work = self._copy_run(read, dataset, places[run].tolist(), offsets[run].tolist(), lengths[run].tolist())
            self._transfers.run(int(offsets[last - 1] + lengths[last - 1] - offsets[first]), work)

    def _copy_run(
        self, read: Read, dataset: str, places: list[list[int]], offsets: list[int], lengths: list[int]
    ) -> Callable[[], None]:
        def work() -> None:
            start = offsets[0]
            data = memoryview(read(start, offsets[-1] + lengths[-1] - start))
            for place, offset, length in zip(places, offsets, lengths, strict=True):
                self._transfers.put(ids.chunk_key(dataset, place), data[offset - start : offset - start + length])

        return work

    def slice(self, plan: Sliced, shape: Shape, item: int, dataset: str, sizes: Sizes) -> None:
        """Put a contiguous dataset in pieces; the last ones are filled up with zeros."""
        whole = math.prod(plan.chunk) * item
        read = plan.read or self._read
        places, starts, lengths = layout.runs(shape, plan.chunk, item)
        sizes.chunks, sizes.stored = len(places), whole * len(places)
        for place, start, length in zip(places.tolist(), starts.tolist(), lengths.tolist(), strict=True):

            def work(place: list[int] = place, start: int = start, length: int = length) -> None:
                body = read(plan.offset + start, length).ljust(whole, b"\0")
                self._transfers.put(ids.chunk_key(dataset, place), body)

            self._transfers.run(whole, work)

    def decode(self, plan: Decoded, source: Dataset, held: Type, refer: Refer, dataset: str, sizes: Sizes) -> None:
        """Read chunk after chunk by the library and put it in HSDS's form. Raises OSError, TypeError, TooLarge."""
        shape = source.shape or ()
        if not shape:
            self._put(dataset, (0,), elements.to_bytes(source.read(()), held, refer), plan.level, held, sizes)
            return
        for place in _occupied(plan, shape):
            start = [number * extent for number, extent in zip(place, plan.chunk, strict=True)]
            stop = [min(a + part, extent) for a, part, extent in zip(start, plan.chunk, shape, strict=True)]
            values = source.read(tuple(map(slice, start, stop)))
            values = values.reshape(*(b - a for a, b in zip(start, stop, strict=True)), *values.shape[1:])
            body = self._padded(values, plan.chunk, held, refer)
            self._put(dataset, place, body, plan.level, held, sizes)

    def _padded(self, values: Array, chunk: Shape, held: Type, refer: Refer) -> bytes:
        """A whole chunk of HSDS, of the values that are inside of the dataset and zeros."""
        inside, rank = values.shape[: len(chunk)], len(chunk)
        flat = values.reshape(math.prod(inside), *values.shape[rank:])
        if not held.is_variable:
            body = elements.to_bytes(flat, held, refer)
            if inside == chunk:
                return body
            item = len(body) // max(1, math.prod(inside))
            whole = np.zeros((*chunk, item), np.uint8)
            whole[tuple(map(slice, inside))] = np.frombuffer(body, np.uint8).reshape(*inside, item)
            return whole.tobytes()
        if inside == chunk:
            return self._within(elements.to_bytes(flat, held, refer))
        out = bytearray()
        nothing = elements.nothing(held)
        number = 0
        for place in np.ndindex(*chunk):
            if all(a < b for a, b in zip(place, inside, strict=True)):
                out += elements.to_bytes(flat[number : number + 1], held, refer)
                number += 1
            else:
                out += nothing
        return self._within(bytes(out))

    def _within(self, body: bytes) -> bytes:
        if len(body) > self._max_chunk:
            raise elements.TooLarge(
                f"{len(body):,} bytes of varying size in one chunk, {self._max_chunk:,} are allowed (max_chunk_size)"
            )
        return body

    def _put(self, dataset: str, place: Shape, body: bytes, level: int | None, held: Type, sizes: Sizes) -> None:
        """Put one chunk; it is compressed by the thread that puts it."""
        item = 1 if held.is_variable else held.numpy.itemsize
        key = ids.chunk_key(dataset, place)
        sizes.chunks += 1
        if level is None:
            sizes.stored += len(body)
            self._transfers.put_soon(key, body)
            return
        self.compresses = True

        def work() -> None:
            data = zlib.compress(shuffled(body, item), level)
            sizes.stored += len(data)  # exact enough for a summary: threads may cross
            self._transfers.put(key, data)

        self._transfers.run(len(body), work)

    def table(self, plan: Linked, shape: Shape, table: str, sizes: Sizes) -> tuple[Shape, Shape]:
        """Put the chunk table of a link under an id of its own; its extents and its chunk shape.

        It covers whole chunks of the domain. Parts of it without an entry are not there.
        """
        factors = np.array(plan.chunk) // np.array(plan.part)
        dims = tuple(int(n * f) for n, f in zip(layout.chunk_counts(shape, plan.chunk), factors, strict=True))
        index, uris = plan.index, [file.uri.encode() for file in plan.index.files]
        homes = index.homes if len(uris) > 1 else None
        chunk = layout.slab(dims, TABLE_TYPE.itemsize + (max(map(len, uris)) if homes is not None else 0), _TABLE_CHUNK)
        tiles = index.places // np.array(chunk)
        order = np.lexsort(tiles.T[::-1])
        tiles = tiles[order]
        begins = np.r_[True, (tiles[1:] != tiles[:-1]).any(axis=1)] if len(tiles) else np.zeros(0, bool)
        starts = np.flatnonzero(begins).tolist()
        for first, last in zip(starts, [*starts[1:], len(tiles)], strict=True):
            rows = order[first:last]
            block = np.zeros(chunk, TABLE_TYPE)
            inside = tuple((index.places[rows] - tiles[first] * np.array(chunk)).T)
            block["offset"][inside] = index.offsets[rows]
            block["size"][inside] = index.sizes[rows]
            body = block.tobytes()
            if homes is not None:
                # an entry without a chunk has a name, too: HSDS takes that of the entry before, and fails at the first
                which = np.zeros(chunk, np.int64)
                which[inside] = homes[rows]
                body = _with_names(block, which, uris)
            sizes.chunks, sizes.stored = sizes.chunks + 1, sizes.stored + len(body)
            self._transfers.put_soon(ids.chunk_key(table, tiles[first].tolist()), body)
        return dims, chunk


def _with_names(block: Array, which: Integers, uris: list[bytes]) -> bytes:
    """The entries of a chunk table, each with the name of its file behind it, which is one of `uris`."""
    names = [len(uri).to_bytes(4, "little") + uri for uri in uris]
    entries = zip(block.ravel(), which.ravel().tolist(), strict=True)
    return b"".join(entry.tobytes() + names[name] for entry, name in entries)


def _neighbours(offsets: Integers, lengths: Integers) -> Iterator[tuple[int, int]]:
    """Runs of chunks (first, end) that lie close to each other, in the order of the file."""
    first = 0
    for number in range(1, len(offsets) + 1):
        if number < len(offsets):
            near = offsets[number] <= offsets[number - 1] + lengths[number - 1] + _GAP
            if near and offsets[number] + lengths[number] - offsets[first] <= _RUN:
                continue
        yield first, number
        first = number


def _occupied(plan: Decoded, shape: Shape) -> Iterator[Shape]:
    """The chunks that have values, in C order."""
    if plan.occupied is not None:
        yield from sorted(plan.occupied)
        return
    yield from np.ndindex(*layout.chunk_counts(shape, plan.chunk))


def shuffled(body: bytes, item: int) -> bytes:
    """HDF5's shuffle: the first bytes of all elements, then the second ones …"""
    return body if item == 1 else np.frombuffer(body, np.uint8).reshape(-1, item).T.tobytes()
