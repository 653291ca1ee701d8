"""The files beside a source, in which some of its datasets keep their values.

HDF5 looks for these files on a disk, and finds fill values, or the source itself, where there are none. Here they are
looked for where the source is, and read by us.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

import h5py

from ..causes import Cause, Trouble, cause_of
from ..log import printable
from .file import Dataset, Place, as_elements
from .stream import Bytes, Stream
from .values import Array

_AHEAD = 16  # that are being opened
_OPEN = 4  # files for h5py that are kept open, each with 9 MiB of blocks at most
_BLOCKS, _INDEX_BLOCK, _VALUES_BLOCK = 4, 256 << 10, 2 << 20

# opens an object or a file, and reads so many bytes of it at once; raises Trouble where there is none
OpenBytes = Callable[[str, int], Bytes]
# begins some work in another thread; what it gives waits for the end
Begin = Callable[[Callable[[], Bytes]], Callable[[], Bytes]]


@dataclass(frozen=True)
class OpenFile:
    """Another file, open for h5py, and what its bytes come through."""

    file: h5py.File
    stream: Stream


class Beside:
    """Objects of the bucket that the source is in; of a source that is a local file, other files."""

    def __init__(
        self, source: str, open_bytes: OpenBytes, within: Sequence[str] = (), begin: Begin | None = None
    ) -> None:
        """`source`: s3://bucket/key, or a path. The key of another begins with one of `within`, if there are any.

        `begin` begins to open one that is needed soon, in another thread.
        """
        self._open_bytes, self._within, self._begin = open_bytes, tuple(within), begin
        self._coming: dict[str, Callable[[], Bytes]] = {}
        self._bucket, self._path = "", source
        if source.startswith("s3://"):
            bucket, _, self._path = source.removeprefix("s3://").partition("/")
            self._bucket = f"s3://{bucket}/"
        self._files: OrderedDict[str, OpenFile] = OrderedDict()

    def uri(self, name: str) -> str:
        """Of the file that has a name relative to the source. Raises Trouble for one that is not allowed."""
        parts = self._path.split("/")[:-1]
        for part in name.split("/"):
            if part == "..":
                if not parts:
                    raise Trouble(f"{printable(name)} is outside of the bucket")
                parts.pop()
            elif part not in ("", "."):
                parts.append(part)
        path = "/".join(parts)
        if self._within and not path.startswith(self._within):
            raise Trouble(f"{printable(path)} is not below src_prefix")
        return self._bucket + path

    def bytes(self, uri: str) -> Bytes:
        """Of a file. Raises Trouble."""
        return self._open_bytes(uri, 1)

    def expect(self, uris: Iterable[str]) -> None:
        """Begin to open files that are asked for soon, in this order."""
        if self._begin is None:
            return
        for uri in islice(filter(None, uris), _AHEAD):
            if uri not in self._files and uri not in self._coming:
                self._coming[uri] = self._begin(partial(self._open_bytes, uri, _INDEX_BLOCK))

    def file(self, uri: str) -> OpenFile:
        """One for h5py, which stays open for the next time, as long as few others are. Raises Trouble."""
        if uri not in self._files:
            coming = self._coming.pop(uri, None)
            source = coming() if coming else self._open_bytes(uri, _INDEX_BLOCK)
            stream = Stream(source, _INDEX_BLOCK, _VALUES_BLOCK, _BLOCKS)
            try:
                self._files[uri] = OpenFile(h5py.File(stream, "r"), stream)
            except OSError as error:
                failure = stream.failure or error
                raise Trouble(f"{printable(uri)} cannot be read: {failure}", cause_of(failure)) from error
        self._files.move_to_end(uri)
        while len(self._files) > _OPEN:
            _, closed = self._files.popitem(last=False)
            closed.file.close()
            closed.stream.source.forget()
        return self._files[uri]


class DatasetElsewhere(Dataset):
    """A dataset whose values are in other files."""

    is_elsewhere = True

    def __init__(self, file: h5py.File, place: Place, beside: Beside) -> None:
        """Raises Trouble for what is not read from other files."""
        super().__init__(file, place)
        self.path = place.path
        self._file, self._beside = file, beside
        if not self.form.is_plain:
            raise Trouble(f"elements of {self.form} are not read from there")

    def read(self, selection: tuple[slice, ...]) -> Array:
        """The elements of a selection, flat. Raises Trouble."""
        return as_elements(self.read_stored(selection), self.form)

    def _trouble(self, words: object, cause: Cause = "file") -> Trouble:
        return Trouble(f"dataset {self.path} has values in other files: {words}", cause)
