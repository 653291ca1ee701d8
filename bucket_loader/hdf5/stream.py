"""A file for h5py whose bytes are somewhere else: an object of a bucket, or another file."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import takewhile
from typing import Protocol

import fsspec
from fsspec.caching import BlockCache

from ..causes import Trouble, cause_of

_BLOCKS = 32  # kept in memory: the ones used last
_PARTS = 4  # of a block of metadata
_ON = 8  # such parts that are read at once, where one follows another
_READY = 64  # such parts that were read with one before them, and wait
_AHEAD_BYTES = 16 << 20  # of blocks that are asked for at once


class Bytes(Protocol):
    """What a file is made of."""

    size: int

    def read(self, first: int, size: int) -> bytes:
        """`size` bytes from `first` on, in any thread. Raises OSError past the end, and the store's errors."""

    def read_ahead(self, first: int, size: int) -> Callable[[], bytes]:
        """The same, begun now where that is possible; gives what waits for its end."""
        return partial(self.read, first, size)

    def forget(self) -> None:
        """Free what is held of it in memory; it can still be read."""
        return None


class _Ranges(Bytes):
    """Those of an object, or of a local file, by requests for ranges."""

    def __init__(self, name: str) -> None:
        self._store, self._path = fsspec.core.url_to_fs(name)
        self.size = int(self._store.info(self._path)["size"])

    def read(self, first: int, size: int) -> bytes:
        body = bytes(self._store.cat_file(self._path, start=first, end=first + size))
        if len(body) != size:
            raise OSError(f"{self._path} has {len(body)} bytes at {first} where {size} are expected")
        return body


def open_bytes(name: str, first: int) -> Bytes:
    """An object, or a local file, of which nothing is read yet. Raises `Trouble`."""
    try:
        return _Ranges(name)
    except (OSError, ImportError) as error:
        raise Trouble(f"{name} cannot be read: {error}", cause_of(error)) from error


class Stream(io.RawIOBase):
    """A source as a file that h5py can read, in blocks that are cached; keeps the exception of a failed read, which
    HDF5 hides.

    Metadata and values have a cache each, with blocks of different sizes: metadata lies between the values, and a large
    block of it would read values that are read again later. So metadata is read in quarters of a block, and where
    another one of the block was read, to its end; where the one before was, two blocks at once.
    """

    def __init__(self, source: Bytes, block: int, data_block: int, blocks: int = _BLOCKS) -> None:
        """Reads in blocks of `block` bytes, values in those of `data_block`; keeps `blocks` of each."""
        self.source, self._place = source, 0
        self._index = BlockCache(max(1, block // _PARTS), self._fetch_index, source.size, _PARTS * blocks)
        self._values = BlockCache(data_block, self._fetch, source.size, blocks)
        self._cache = self._index
        self._ahead: dict[int, Callable[[], bytes]] = {}  # blocks of the index that were asked for, by their start
        self._asked: set[int] = set()
        self._ready: dict[int, bytes] = {}  # that were read with the one before
        self.failure: Exception | None = None

    @contextmanager
    def reading_values(self) -> Iterator[None]:
        """Within the block, reads are taken to be of values."""
        self._cache = self._values
        try:
            yield
        finally:
            self._cache = self._index

    def fetch_ahead(self, places: Sequence[int]) -> None:
        """Ask at once for the blocks of the index with these places, each of which is to be read soon."""
        self._ahead.clear()
        size = self._index.blocksize
        starts = dict.fromkeys(place // size * size for place in places if 0 <= place < self.source.size)
        new = [start for start in starts if start not in self._asked][: _AHEAD_BYTES // size]
        if len(new) > 1:
            self._asked.update(new)
            for start in new:
                self._ahead[start] = self.source.read_ahead(start, min(size, self.source.size - start))

    def _fetch_index(self, start: int, end: int) -> bytes:
        if coming := self._ahead.pop(start, None):
            return coming()
        if start not in self._ready:
            self._read_on(start)
        self._asked.add(start)
        return self._ready.pop(start)

    def _read_on(self, start: int) -> None:
        """Read a part of a block of metadata, and new ones behind it where these are likely to be read, too."""
        size, wanted = self._index.blocksize, [start]
        block = start - start % (_PARTS * size)
        follows = start - size in self._asked
        if follows or not self._asked.isdisjoint(range(block, block + _PARTS * size, size)):
            end = start + _ON * size if follows else block + _PARTS * size
            behind = range(start + size, min(end, self.source.size), size)
            wanted += takewhile(lambda other: other not in self._asked and other not in self._ready, behind)
        data = self._fetch(start, wanted[-1] + size)
        for other in wanted:
            self._ready[other] = data[other - start : other - start + size]
        while len(self._ready) > _READY:
            self._ready.pop(next(iter(self._ready)))

    def _fetch(self, start: int, end: int) -> bytes:
        return self.source.read(start, min(end, self.source.size) - start)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._place = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self.source.size}[whence]
        return self._place

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        wanted = len(buffer)
        try:
            data = self._cache._fetch(self._place, self._place + wanted)
        except Exception as error:
            self.failure = error
            raise
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)
