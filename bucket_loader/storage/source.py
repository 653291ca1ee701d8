"""The source object: its bytes by ranged GETs, and a file of them for h5py."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import h5py
from fsspec.caching import BlockCache

from ..causes import Trouble, cause_of
from .transfers import Transfers, Version

_BLOCKS = 32  # kept in memory: the ones used last
_AHEAD_BYTES = 16 << 20  # of blocks that are asked for at once


class S3Object:
    """One version of an object: it is asked for by its ETag, and a change of it is an error and no mixture."""

    def __init__(self, transfers: Transfers, bucket: str, key: str, first: int) -> None:
        """Reads the `first` bytes at once, which may be all. Raises botocore's errors."""
        self._transfers, self._bucket, self._key = transfers, bucket, key
        self._begin, self.version = transfers.get_begin(bucket, key, first)
        self.size = self.version.size

    def read(self, first: int, size: int) -> bytes:
        """`size` bytes from `first` on; may be called by any thread. Raises OSError past the end, botocore's errors."""
        if first + size <= len(self._begin):
            return self._begin[first : first + size]
        return self._transfers.get(self._bucket, self._key, first, size, self.version.etag)

    def read_ahead(self, first: int, size: int) -> Callable[[], bytes]:
        """The same, begun now; gives what waits for its end."""
        return self._transfers.ahead(partial(self.read, first, size)).result


class LocalFile:
    """The same for a local file, to try the engine by hand."""

    def __init__(self, path: str) -> None:
        about = Path(path).stat()
        self._path, self.size = path, about.st_size
        self.version = Version(self.size, "", int(about.st_mtime))

    def read(self, first: int, size: int) -> bytes:
        with Path(self._path).open("rb") as stream:
            stream.seek(first)
            data = stream.read(size)
        if len(data) != size:
            raise OSError(f"{self._path} has {len(data)} bytes at {first} where its index says {size}")
        return data

    def read_ahead(self, first: int, size: int) -> Callable[[], bytes]:
        return partial(self.read, first, size)


class _Stream(io.RawIOBase):
    """A source as a file that h5py can read, in blocks that are cached; keeps the exception of a failed read, which
    HDF5 hides.

    Metadata and values have a cache each, with blocks of different sizes: metadata lies between the values, and a large
    block of it would read values that are read again later.
    """

    def __init__(self, source: S3Object | LocalFile, block: int, data_block: int) -> None:
        self._source, self._place = source, 0
        self._index = BlockCache(block, self._fetch_index, source.size, _BLOCKS)
        self._values = BlockCache(data_block, self._fetch, source.size, _BLOCKS)
        self._cache = self._index
        self._ahead: dict[int, Callable[[], bytes]] = {}  # blocks of the index that were asked for, by their start
        self._asked: set[int] = set()
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
        starts = dict.fromkeys(place // size * size for place in places if 0 <= place < self._source.size)
        new = [start for start in starts if start not in self._asked][: _AHEAD_BYTES // size]
        if len(new) > 1:
            self._asked.update(new)
            for start in new:
                self._ahead[start] = self._source.read_ahead(start, min(size, self._source.size - start))

    def _fetch_index(self, start: int, end: int) -> bytes:
        self._asked.add(start)
        coming = self._ahead.pop(start, None)
        return coming() if coming else self._fetch(start, end)

    def _fetch(self, start: int, end: int) -> bytes:
        return self._source.read(start, min(end, self._source.size) - start)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._place = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._source.size}[whence]
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


@dataclass(frozen=True)
class Opened:
    """A source that h5py has open."""

    file: h5py.File
    read: Callable[[int, int], bytes]  # bytes of it from an offset on, in any thread
    reading_values: Callable[[], AbstractContextManager[None]]  # entered while h5py reads values
    fetch_ahead: Callable[[Sequence[int]], None]  # told at which addresses HDF5 will read headers


@contextmanager
def opened(name: str, source: S3Object | LocalFile, block: int, data_block: int) -> Iterator[Opened]:
    """The file of a source, its index read in blocks of `block` bytes, and values through h5py of `data_block`.

    Raises Trouble for what is none, or cannot be read.
    """
    stream = _Stream(source, block, data_block)
    try:
        with h5py.File(stream, "r") as file:
            base = file.userblock_size

            def fetch_ahead(addresses: Sequence[int]) -> None:
                stream.fetch_ahead([base + address for address in addresses])

            yield Opened(file, source.read, stream.reading_values, fetch_ahead)
    except Exception as error:
        failure = stream.failure or error
        if failure is error and not isinstance(error, OSError):
            raise
        raise Trouble(f"{name} cannot be read: {failure}", cause_of(failure)) from failure
