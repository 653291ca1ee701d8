"""Datasets in external storage: their values are the bytes of other files, one after the other."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np

from ..causes import Trouble, cause_of
from ..log import printable
from .beside import Beside, DatasetElsewhere
from .elsewhere import as_text
from .file import Place, extents_of
from .stream import Bytes
from .values import Array

_TO_THE_END = (1 << 64) - 1
_RUN = 4 << 20  # bytes that are read with one request


@dataclass(frozen=True)
class Segment:
    """The bytes `start` to `end` of a dataset's values: those of a file from an offset on."""

    start: int
    end: int
    uri: str
    offset: int


class ExternalDataset(DatasetElsewhere):
    """Reads the values as HDF5 would."""

    def __init__(self, file: h5py.File, place: Place, beside: Beside) -> None:
        super().__init__(file, place, beside)
        self.nbytes = math.prod(self.shape or ()) * self.form.numpy.itemsize
        self.segments = self._segments()
        self._bytes: dict[str, Bytes] = {}

    def _segments(self) -> list[Segment]:
        found, start = [], 0
        for number in range(self.properties.get_external_count()):
            name, offset, size = self.properties.get_external(number)
            end = self.nbytes if size == _TO_THE_END else min(self.nbytes, start + size)
            path = as_text(name)
            if path.startswith("/"):
                raise Trouble(f"{printable(path)} is an absolute path, which a bucket does not have")
            if start < end:
                found.append(Segment(start, end, self._beside.uri(path), int(offset)))
            start = end
        if start < self.nbytes:
            raise Trouble(f"there are {start:,} bytes for values of {self.nbytes:,}")
        return found

    def bytes_of(self, uri: str) -> Bytes:
        """One of the files. Raises Trouble."""
        if uri not in self._bytes:
            try:
                self._bytes[uri] = self._beside.bytes(uri)
            except Trouble as trouble:
                raise self._trouble(trouble, trouble.cause) from trouble
        return self._bytes[uri]

    def read_bytes(self, first: int, size: int) -> bytes:
        """`size` bytes of the values from `first` on; behind the end of a file they are zero, as HDF5 has it.

        May be called by any thread, once `bytes_of` was for each file. Raises the store's errors.
        """
        parts = []
        for segment in self.segments:
            begin, end = max(first, segment.start), min(first + size, segment.end)
            if begin < end:
                source, offset = self.bytes_of(segment.uri), segment.offset + begin - segment.start
                there = max(0, min(end - begin, source.size - offset))
                parts.append((source.read(offset, there) if there else b"").ljust(end - begin, b"\0"))
        return b"".join(parts)

    def read_stored(self, selection: tuple[slice, ...]) -> Array:
        shape, dtype = self.shape or (), np.dtype(f"V{self.form.numpy.itemsize}")
        extents = extents_of(selection)
        if not shape:
            return self._run(0, dtype, ())
        out = np.empty(extents, dtype)
        # from the last axis on of which only a part is wanted, the values are one run
        axis = next((axis for axis in reversed(range(len(shape))) if extents[axis] < shape[axis]), 0)
        starts = tuple(part.start for part in selection)
        for place in np.ndindex(*extents[:axis]):
            first = tuple(map(sum, zip(starts, place, strict=False))) + starts[axis:]
            out[place] = self._run(int(np.ravel_multi_index(first, shape)), dtype, extents[axis:])
        return out

    def _run(self, first: int, dtype: np.dtype[Any], extents: tuple[int, ...]) -> Array:
        """Elements that follow each other, from the first on."""
        start, size = first * dtype.itemsize, math.prod(extents) * dtype.itemsize
        try:
            parts = [self.read_bytes(start + at, min(_RUN, size - at)) for at in range(0, size, _RUN)]
        except Trouble:
            raise
        except Exception as error:
            raise self._trouble(error, cause_of(error)) from error
        return np.frombuffer(b"".join(parts), dtype).reshape(extents)
