"""What in a file is too much for a server, seen in its headers before its load: a small file may ask for everything.

HSDS holds a chunk in memory, whole, to give one element of it; hsload and a comparison go through the values that
nobody wrote like through others; a name is a part of the address of a request.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from urllib.parse import quote

import h5py

from .verify.source import shape_of

# h5pyd puts names into the address of its request, and the HTTP server of HSDS takes a line of 8,190 bytes
MAX_NAME_BYTES = 7_500
# hsload walks by whole paths, which takes the square of the depth: an hour at 9,000 levels
MAX_DEPTH = 1_000


@dataclass(frozen=True)
class SizeLimits:
    """What the settings allow, in bytes: for one chunk or element, and for all values of a file that nobody wrote."""

    chunk: int = 128 << 20
    unwritten: int = 64 << 30


def too_large_a_chunk(path: str, dataset: h5py.h5d.DatasetID, limit: int) -> str:
    """Why a data node could not give one value of a dataset; an empty text when it can."""
    properties, item = dataset.get_create_plist(), dataset.get_type().get_size()
    if item > limit:
        return f"dataset {path} has elements of {item:,} bytes: {_allowed(limit)}"
    if properties.get_layout() != h5py.h5d.CHUNKED:
        return ""
    size = math.prod(properties.get_chunk()) * item
    if size <= limit:
        return ""
    return f"dataset {path} has chunks of {size:,} bytes, which HSDS would hold in memory whole: {_allowed(limit)}"


def _allowed(limit: int) -> str:
    return f"{limit:,} are allowed (max_chunk_size)"


def unwritten_bytes(dataset: h5py.h5d.DatasetID) -> int:
    """How many bytes of a dataset's values are in no chunk of the file: fill values."""
    shape, item = shape_of(dataset.get_space()), int(dataset.get_type().get_size())
    if not shape:
        return 0
    properties, size = dataset.get_create_plist(), math.prod(shape) * item
    layout = properties.get_layout()
    if layout == h5py.h5d.CHUNKED:
        # a chunk at the edge reaches past the values
        return max(0, size - int(dataset.get_num_chunks()) * math.prod(map(int, properties.get_chunk())) * item)
    if layout == h5py.h5d.VIRTUAL:
        sources = range(properties.get_virtual_count())
        mapped = sum(int(properties.get_virtual_vspace(number).get_select_npoints()) for number in sources)
        return max(0, size - item * mapped)
    return 0 if layout == h5py.h5d.COMPACT or dataset.get_offset() is not None else size


def too_much_unwritten(path: str, size: int, limit: int) -> str:
    """Why a load and a check would take for ever; an empty text when they would not. `size`: so far in the file."""
    if size <= limit:
        return ""
    return (
        f"dataset {path}: {size:,} bytes of the file's values were never written, and would be loaded and compared as "
        f"fill values: {limit:,} are allowed (max_unwritten_size)"
    )


def too_long_a_name(what: str, name: str) -> str:
    """Why HSDS could not be told a name; an empty text when it can."""
    length = len(quote(name.encode("utf-8", "surrogateescape"), safe=""))
    if length <= MAX_NAME_BYTES:
        return ""
    return f"{what} with a name of {length:,} bytes in an address ({name[:20]}…): HSDS takes {MAX_NAME_BYTES:,}"
