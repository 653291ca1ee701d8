"""The source object: its bytes by ranged GETs, and a file of them for h5py."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import h5py

from ..causes import Trouble, cause_of
from ..hdf5.beside import Beside
from ..hdf5.stream import Bytes, Stream
from .transfers import Transfers, Version


class S3Object(Bytes):
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
        return self._transfers.begin(partial(self.read, first, size))

    def forget(self) -> None:
        self._begin = b""


class LocalFile(Bytes):
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


@dataclass(frozen=True)
class Opened:
    """A source that h5py has open."""

    file: h5py.File
    read: Callable[[int, int], bytes]  # bytes of it from an offset on, in any thread
    reading_values: Callable[[], AbstractContextManager[None]]  # entered while h5py reads values
    fetch_ahead: Callable[[Sequence[int]], None]  # told at which addresses HDF5 will read headers
    beside: Beside | None  # other files that it may name


@contextmanager
def opened(name: str, source: Bytes, block: int, data_block: int, beside: Beside | None = None) -> Iterator[Opened]:
    """The file of a source, its index read in blocks of `block` bytes, and values through h5py of `data_block`.

    Raises Trouble for what is none, or cannot be read.
    """
    stream = Stream(source, block, data_block)
    try:
        with h5py.File(stream, "r") as file:
            base = file.userblock_size

            def fetch_ahead(addresses: Sequence[int]) -> None:
                stream.fetch_ahead([base + address for address in addresses])

            yield Opened(file, source.read, stream.reading_values, fetch_ahead, beside)
    except Exception as error:
        failure = stream.failure or error
        if failure is error and not isinstance(error, OSError):
            raise
        raise Trouble(f"{name} cannot be read: {failure}", cause_of(failure)) from failure
