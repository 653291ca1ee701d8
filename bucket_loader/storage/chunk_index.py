"""Where the chunks of a dataset lie in its file, and with which filters they were written."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field

import h5py
import numpy as np
import numpy.typing as npt

_NAMES = {h5py.h5z.FILTER_DEFLATE: "deflate", h5py.h5z.FILTER_SHUFFLE: "shuffle"}
# what HSDS undoes, in the order in which a file's filters were applied
_UNDONE: tuple[tuple[str, ...], ...] = ((), ("shuffle",), ("deflate",), ("shuffle", "deflate"))

Integers = npt.NDArray[np.int64]
# bytes of a file from an offset on, in any thread
Read = Callable[[int, int], bytes]


@dataclass(frozen=True)
class ChunkFile:
    """A file with chunks that are those of another's dataset."""

    uri: str
    read: Read = field(repr=False)


@dataclass(frozen=True)
class ChunkIndex:
    """The n chunks of a dataset that were written.

    `places`: shape (n, rank), which chunk along each axis; `offsets` and `sizes`: shape (n,), in bytes of the file.
    `skipped`: how many may not have gone through all filters. `files`: those that the chunks are in, and `homes`, shape
    (n,): in which of them each is; none, where all are in the dataset's own.
    """

    places: Integers
    offsets: Integers
    sizes: Integers
    skipped: int = 0
    files: tuple[ChunkFile, ...] = ()
    homes: Integers | None = None

    def __len__(self) -> int:
        return len(self.offsets)

    def none(self) -> ChunkIndex:
        """The same without a chunk."""
        return ChunkIndex(self.places[:0].copy(), self.offsets[:0].copy(), self.sizes[:0].copy())


def filters(dataset: h5py.h5d.DatasetID) -> tuple[str, ...]:
    """The names of a dataset's filters, in the order in which they were applied."""
    properties = dataset.get_create_plist()
    found = (properties.get_filter(number) for number in range(properties.get_nfilters()))
    return tuple(_NAMES.get(code) or name.decode("ascii", "replace") or str(code) for code, _, _, name in found)


def gzip_level(dataset: h5py.h5d.DatasetID) -> int | None:
    """None where a dataset has no gzip."""
    properties = dataset.get_create_plist()
    for number in range(properties.get_nfilters()):
        code, _, values, _ = properties.get_filter(number)
        if code == h5py.h5z.FILTER_DEFLATE:
            return int(values[0]) if values else 4
    return None


def unreadable_filters(names: tuple[str, ...]) -> str:
    """Why HSDS cannot read chunks with such filters as they are; an empty text when it can."""
    if unknown := [name for name in names if name not in _NAMES.values()]:
        return f"chunks with {', '.join(unknown)}, which HSDS does not decode"
    if names not in _UNDONE:
        return f"the filters {', '.join(names)} in an order that HSDS does not undo"
    return ""


def read(dataset: h5py.h5d.DatasetID, shape: tuple[int, ...]) -> ChunkIndex:
    """The index of a chunked dataset of a shape. Takes 8 * (rank + 2) bytes for a chunk."""
    properties = dataset.get_create_plist()
    chunk, names = tuple(map(int, properties.get_chunk())), filters(dataset)
    raw = math.prod(chunk) * dataset.get_type().get_size()
    numbers, masked = array("q"), 0

    def visit(info: h5py.h5d.StoreInfo) -> None:
        nonlocal masked
        masked += bool(info.filter_mask)
        numbers.extend(info.chunk_offset)
        numbers.append(info.byte_offset)
        numbers.append(info.size)

    dataset.chunk_iter(visit)
    table = np.frombuffer(numbers, np.int64).reshape(-1, len(chunk) + 2)
    places = table[:, :-2] // np.array(chunk)
    # a file may leave its chunks at the edge unfiltered without saying so for each: with gzip, only such a chunk has
    # the size of its values; with shuffle alone, nothing tells them apart
    unfiltered = 0
    if "deflate" in names:
        unfiltered = int((table[:, -1] == raw).sum())
    elif names:
        whole = np.array(shape) // np.array(chunk)
        unfiltered = int((places >= whole).any(axis=1).sum())
    return ChunkIndex(places, table[:, -2], table[:, -1], max(masked, unfiltered))
