"""Can a dataset be linked and read back? HSDS takes the bytes of linked chunks as they lie in the file.

It undoes gzip and shuffle, nothing else: each of the 40 filters and combinations that h5py and hdf5plugin write was
linked and read back. hsload notices some of what HSDS cannot read, and links the rest without a word: readers get an
error, wait for ever, or get wrong values.
"""

from __future__ import annotations

import math

import h5py

from ..children.chunk_shapes import enlarged
from ..hdf5 import types
from ..hdf5.file import maxshape_of, shape_of
from ..hdf5.types import Type
from ..storage import chunk_index, layout

# what has no more elements than this is copied and never linked
COPIED_ELEMENTS = 512
# HSDS 0.9.4 merges more than 10 small chunks of the file into one of its own, of up to 1 MiB, and names each of them in
# the request to its data node, whose HTTP server refuses a line of more than 8,190 bytes
_LISTED_CHUNKS, _MERGED_BYTES, _LINE_BYTES = 10, 1 << 20, 8190
_REST_OF_LINE = 600
_UNSET = len("0:0:")  # of a chunk without data
_PIECE_BYTES = 4 << 20  # what HSDS cuts a contiguous dataset into has fewer: its `max_chunk_size`


def is_copied(dataset: h5py.h5d.DatasetID) -> bool:
    """Whether hsload copies a dataset although links are wanted."""
    shape = shape_of(dataset.get_space())
    if not shape or math.prod(shape) <= COPIED_ELEMENTS:
        return True
    if dataset.get_create_plist().get_layout() == h5py.h5d.COMPACT:
        return True
    form = types.from_hdf5(dataset.get_type())
    return isinstance(form, types.Sequence) or (isinstance(form, types.String) and form.is_variable)


def link_problem(path: str, dataset: h5py.h5d.DatasetID) -> str:
    """Why a dataset could not be read through a link; an empty text when it can, or when it is copied anyway."""
    if is_copied(dataset):
        return ""
    form = types.from_hdf5(dataset.get_type())
    shape = shape_of(dataset.get_space()) or ()
    properties = dataset.get_create_plist()
    kind = properties.get_layout()
    if unlike := _not_as_stored(form):
        return f"dataset {path} has {unlike}, which HSDS keeps in another form than the file"
    if kind == h5py.h5d.VIRTUAL:
        return f"dataset {path} is virtual: it has no data of its own to link to"
    if kind == h5py.h5d.CHUNKED:
        return _chunks(path, dataset, properties, shape)
    if dataset.get_offset() is None:
        return f"dataset {path} has no data in the file yet"
    end = dataset.get_offset() + _read_bytes(shape, dataset.get_type().get_size())
    if (beyond := end - h5py.h5i.get_file_id(dataset).get_filesize()) > 0:
        return (
            f"dataset {path} is read by HSDS in pieces of which the last goes {beyond:,} bytes past the end of the file"
        )
    return ""


def _read_bytes(shape: tuple[int, ...], item: int) -> int:
    """How far from its start HSDS 0.9.4 reads a linked contiguous dataset.

    It halves the first axis that does not fit, with odd extents rounded up, and reads each piece whole. Of a piece that
    ends behind the file it keeps nothing: all of it reads as zeros.
    """
    pieces, stride = [1] * len(shape), item
    for axis in reversed(range(len(shape))):
        extent = pieces[axis] = shape[axis]
        if extent * stride >= _PIECE_BYTES:
            while pieces[axis] > 1:
                pieces[axis] = -(-pieces[axis] // 2)
                if pieces[axis] * stride < _PIECE_BYTES:
                    break
            pieces[:axis] = [1] * axis
            break
        stride *= extent
    return layout.reach(shape, tuple(pieces), item)


def filter_problem(path: str, dataset: h5py.h5d.DatasetID) -> str:
    """Why a dataset would be lost when it is copied with its filters; an empty text when it would not.

    HSDS 0.9.4 writes chunks with shuffle and without gzip unshuffled, and unshuffles them when it reads: all is right
    while they are in its cache, and every value wrong after that.
    """
    properties = dataset.get_create_plist()
    if properties.get_layout() != h5py.h5d.CHUNKED:
        return ""
    codes = {properties.get_filter(number)[0] for number in range(properties.get_nfilters())}
    if h5py.h5z.FILTER_SHUFFLE in codes and h5py.h5z.FILTER_DEFLATE not in codes:
        return f"dataset {path} has shuffle without gzip, of which HSDS reads wrong what it wrote"
    return ""


def _not_as_stored(form: Type) -> str:
    """What in a type makes its bytes in the file differ from those of HSDS."""
    if isinstance(form, types.Reference):
        return "references"
    if form.is_variable:
        return "members of variable length"
    if isinstance(form, types.Number) and not form.is_plain:
        return f"numbers of an unusual format ({form.detail or 'byte order'})"
    if isinstance(form, types.Compound) and not form.is_packed:
        return "compounds with gaps between their members"
    return next(filter(None, map(_not_as_stored, form.parts)), "")


def _chunks(path: str, dataset: h5py.h5d.DatasetID, properties: h5py.h5p.PropDCID, shape: tuple[int, ...]) -> str:
    names = chunk_index.filters(dataset)
    if problem := chunk_index.unreadable_filters(names):
        return f"dataset {path} has {problem}"
    return _as_they_lie(path, dataset, properties.get_chunk(), shape, names)


def _as_they_lie(
    path: str, dataset: h5py.h5d.DatasetID, chunk: tuple[int, ...], shape: tuple[int, ...], filters: tuple[str, ...]
) -> str:
    """Preflight at each chunk's place in the file, which costs what hsload reads as well."""
    item = dataset.get_type().get_size()
    raw = math.prod(chunk) * item
    merged = _merged(chunk, shape, item)
    slots = math.prod(merged) // math.prod(chunk)
    lines: dict[tuple[int, ...], int] = {}
    stored = unfiltered = 0

    def visit(info: h5py.h5d.StoreInfo) -> None:
        nonlocal stored, unfiltered
        stored += 1
        # a file may leave its edge chunks unfiltered without saying so for each: gzip does not end at the same size
        unfiltered += bool(info.filter_mask) or ("deflate" in filters and info.size == raw)
        place = tuple(offset // extent for offset, extent in zip(info.chunk_offset, merged, strict=True))
        lines[place] = lines.get(place, slots * _UNSET) + len(f"{info.byte_offset}:{info.size}:") - _UNSET

    dataset.chunk_iter(visit)
    if unfiltered:
        return f"dataset {path} has {unfiltered} chunks that skipped a filter, which HSDS does not know"
    if merged == chunk or stored <= _LISTED_CHUNKS:
        return ""
    if (longest := max(lines.values())) > _LINE_BYTES - _REST_OF_LINE:
        return (
            f"dataset {path} has {stored} chunks of {raw} bytes: HSDS names those of one read in a request of"
            f" {longest + _REST_OF_LINE} bytes, and takes {_LINE_BYTES}"
        )
    return ""


def _merged(chunk: tuple[int, ...], shape: tuple[int, ...], item: int) -> tuple[int, ...]:
    """The shape of HSDS's chunk that stands for those of the file: doubled, last axis first, up to 1 MiB."""
    out = list(chunk)
    while math.prod(out) * item < _MERGED_BYTES:
        axis = next((a for a in reversed(range(len(out))) if out[a] * 2 <= shape[a]), None)
        if axis is None:
            break
        out[axis] *= 2
    return tuple(out)


def copy_problem(path: str, dataset: h5py.h5d.DatasetID, limit: int = 128 << 20) -> str:
    """Why a dataset cannot be copied; an empty text when it can.

    HSDS 0.9.4 gives a dataset with small chunks larger ones, and takes for a dimension that can grow to a limit the
    whole limit: 10 numbers that may become 100,000,000,000 are one chunk of 745 GiB, and the data node's end.
    """
    if not shape_of(dataset.get_space()) or not _is_chunked(dataset):
        return ""
    size = math.prod(_copied(dataset)) * dataset.get_type().get_size()
    if size <= limit:
        return ""
    return f"dataset {path} may grow to {maxshape_of(dataset.get_space())}: HSDS makes a chunk of {size:,} bytes for it"


def _is_chunked(dataset: h5py.h5d.DatasetID) -> bool:
    return bool(dataset.get_create_plist().get_layout() == h5py.h5d.CHUNKED)


def _asked_for(dataset: h5py.h5d.DatasetID) -> tuple[int, ...]:
    """The chunk shape that hsload gives to HSDS for a copy."""
    chunk: tuple[int, ...] = dataset.get_create_plist().get_chunk()
    if len(chunk) > 1:
        return chunk
    return _merged(chunk, shape_of(dataset.get_space()) or (), dataset.get_type().get_size())


def _copied(dataset: h5py.h5d.DatasetID) -> tuple[int, ...]:
    """The chunk shape of HSDS for a copy."""
    shape, item = shape_of(dataset.get_space()) or (), dataset.get_type().get_size()
    return enlarged(_asked_for(dataset), shape, maxshape_of(dataset.get_space()), item)
