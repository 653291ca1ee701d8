"""What in a file is too much for a server, seen in its headers before its load: a small file may ask for everything.

HSDS holds a chunk in memory, whole, to give one element of it; hsload and a comparison go through the values that
nobody wrote like through others; a name is a part of the address of a request.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from urllib.parse import quote

import h5py

from ..hdf5.elsewhere import as_text
from ..hdf5.file import encode, shape_of

# h5pyd puts names into the address of its request, and the HTTP server of HSDS takes a line of 8,190 bytes
MAX_NAME_BYTES = 7_500
# hsload asks HSDS for each group on the way to an object, several times: a chain of 40 levels took 38 s, one of 80
# more than 100 s, and h5py alone goes through one of 3,000 in 48 s
MAX_DEPTH = 200
# HSDS keeps the links and attributes of an object as one text of JSON, and a data node holds it as objects of Python:
# it took 180 MB for 250,000 links, and 1 GB for a million
MAX_MEMBERS = 250_000
# a chunk that nobody wrote costs a request of hsdiff (5 ms), however small it is: as much as so many bytes do
_VISIT_BYTES = 256 << 10
_PIECE_BYTES = 4 << 20


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


class Unwritten:
    """How many bytes of a file's values are in no chunk of it: fill values, which are loaded and compared like others.

    A chunk counts as 256 KiB at least: each is a request. The size of the file bounds how many can have been written:
    to count those, HDF5 may go through all that could have been.
    """

    def __init__(self, file: h5py.File, limit: int) -> None:
        self.size = 0
        self.chunks = 0  # that were written; what is not in chunks goes through HSDS in pieces of 4 MiB
        self._file, self._limit, self._chunks = file, limit, 0
        self._file_bytes = int(file.id.get_filesize())
        self._sources: dict[str, int] = {}  # of virtual datasets: elements that were written

    def add(self, dataset: h5py.h5d.DatasetID) -> None:
        shape = shape_of(dataset.get_space())
        if not shape or 0 in shape:
            return
        properties, item = dataset.get_create_plist(), int(dataset.get_type().get_size())
        layout, size = properties.get_layout(), math.prod(shape) * item
        if layout == h5py.h5d.CHUNKED:
            count, written, elements = self._chunks_of(dataset, shape)
            # a chunk at the edge reaches past the values
            self.size += max(0, size - written * elements * item, (count - written) * _VISIT_BYTES)
            self.chunks += written
        elif layout == h5py.h5d.VIRTUAL:
            self.size += max(0, size - item * self._mapped(properties))
        elif layout != h5py.h5d.COMPACT and dataset.get_offset() is None and not properties.get_external_count():
            self.size += size
        else:
            self.chunks += -(-size // _PIECE_BYTES)

    def _chunks_of(self, dataset: h5py.h5d.DatasetID, shape: tuple[int, ...]) -> tuple[int, int, int]:
        """How many chunks a dataset can have, how many were written, and the elements of one."""
        chunk = tuple(map(int, dataset.get_create_plist().get_chunk()))
        count = math.prod(-(-extent // part) for extent, part in zip(shape, chunk, strict=True))
        self._chunks += count
        # each that was written takes more than a byte of the file: what is left is too much, and need not be counted
        hopeless = (self._chunks - self._file_bytes) * _VISIT_BYTES > self._limit
        return count, 0 if hopeless else int(dataset.get_num_chunks()), math.prod(chunk)

    def _mapped(self, properties: h5py.h5p.PropDCID) -> int:
        """How many elements of a virtual dataset are mapped to values that somebody wrote; in other files, all are."""
        count = 0
        for number in range(properties.get_virtual_count()):
            mapped = int(properties.get_virtual_vspace(number).get_select_npoints())
            name = properties.get_virtual_dsetname(number)
            if as_text(properties.get_virtual_filename(number)) == ".":
                if name not in self._sources:
                    self._sources[name] = self._written(name)
                mapped = min(self._sources[name], mapped)
            count += mapped
        return count

    def _written(self, name: str) -> int:
        try:
            dataset = h5py.h5d.open(self._file.id, encode(name))
        except (KeyError, OSError, RuntimeError, ValueError):  # RuntimeError: a loop of links
            return 0
        if dataset.get_create_plist().get_layout() == h5py.h5d.CHUNKED:
            _, written, elements = self._chunks_of(dataset, shape_of(dataset.get_space()) or ())
            return written * elements
        return int(dataset.get_storage_size()) // int(dataset.get_type().get_size())


def too_much_unwritten(path: str, size: int, limit: int) -> str:
    """Why a load and a check would take for ever; an empty text when they would not. `size`: so far in the file."""
    if size <= limit:
        return ""
    return (
        f"dataset {path}: {size:,} bytes of the file's values were never written (a chunk counts as {_VISIT_BYTES:,} "
        f"at least), and would be loaded and compared as fill values: {limit:,} are allowed (max_unwritten_size)"
    )


def too_long_a_name(what: str, name: str) -> str:
    """Why a name does not fit into a request to HSDS; an empty text when it can."""
    length = len(quote(name.encode("utf-8", "surrogateescape"), safe=""))
    if length <= MAX_NAME_BYTES:
        return ""
    return f"{what} with a name of {length:,} bytes in an address ({name[:20]}…): HSDS takes {MAX_NAME_BYTES:,}"


def too_many_members(path: str, count: int) -> str:
    """Why a data node could not hold an object with so many links and attributes; an empty text when it can."""
    if count <= MAX_MEMBERS:
        return ""
    return (
        f"{path} has {count:,} links and attributes: HSDS keeps those of an object as one text, {MAX_MEMBERS:,} at most"
    )
