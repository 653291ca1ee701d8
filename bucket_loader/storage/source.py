"""The source object: its bytes by ranged GETs, and a file of them for h5py."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import h5py
from fsspec.caching import BlockCache

from ..causes import Trouble, cause_of
from .transfers import Transfers

_BLOCKS = 32  # kept in memory: the ones used last


class S3Object:
    """One version of an object: it is asked for by its ETag, and a change of it is an error and no mixture."""

    def __init__(self, transfers: Transfers, bucket: str, key: str, first: int) -> None:
        """Reads the `first` bytes at once, which may be all. Raises botocore's errors."""
        self._transfers, self._bucket, self._key = transfers, bucket, key
        self._begin, self.size, self._etag = transfers.get_begin(bucket, key, first)

    def read(self, first: int, size: int) -> bytes:
        """`size` bytes from `first` on; may be called by any thread. Raises OSError past the end, botocore's errors."""
        if first + size <= len(self._begin):
            return self._begin[first : first + size]
        return self._transfers.get(self._bucket, self._key, first, size, self._etag)


class LocalFile:
    """The same for a local file, to try the engine by hand."""

    def __init__(self, path: str) -> None:
        self._path, self.size = path, Path(path).stat().st_size

    def read(self, first: int, size: int) -> bytes:
        with Path(self._path).open("rb") as stream:
            stream.seek(first)
            data = stream.read(size)
        if len(data) != size:
            raise OSError(f"{self._path} has {len(data)} bytes at {first} where its index says {size}")
        return data


class _Stream(io.RawIOBase):
    """A source as a file that h5py can read, in blocks that are cached; keeps the exception of a failed read, which
    HDF5 hides.

    Metadata and values have a cache each, with blocks of different sizes: metadata lies between the values, and a large
    block of it would read values that are read again later.
    """

    def __init__(self, source: S3Object | LocalFile, block: int, data_block: int) -> None:
        self._source, self._place = source, 0
        self._index, self._values = (
            BlockCache(size, self._fetch, source.size, _BLOCKS) for size in (block, data_block)
        )
        self._cache = self._index
        self.failure: Exception | None = None

    @contextmanager
    def reading_values(self) -> Iterator[None]:
        """Within the block, reads are taken to be of values."""
        self._cache = self._values
        try:
            yield
        finally:
            self._cache = self._index

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
    reading_values: Callable[[], AbstractContextManager[None]] = nullcontext  # entered while h5py reads values


@contextmanager
def opened(name: str, source: S3Object | LocalFile, block: int, data_block: int) -> Iterator[Opened]:
    """The file of a source, its index read in blocks of `block` bytes, and values through h5py of `data_block`.

    Raises Trouble for what is none, or cannot be read.
    """
    stream = _Stream(source, block, data_block)
    try:
        with h5py.File(stream, "r") as file:
            yield Opened(file, source.read, stream.reading_values)
    except Exception as error:
        failure = stream.failure or error
        if failure is error and not isinstance(error, OSError):
            raise
        raise Trouble(f"{name} cannot be read: {failure}", cause_of(failure)) from failure
