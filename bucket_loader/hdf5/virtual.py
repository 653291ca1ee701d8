"""Virtual datasets: their elements are those of other datasets, in other files as a rule."""

from __future__ import annotations

import posixpath
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import h5py
import numpy as np

from ..causes import Trouble, cause_of
from ..log import printable
from .beside import Beside, DatasetElsewhere, OpenFile
from .elsewhere import as_text, values_elsewhere
from .file import Dataset, Place, extents_of
from .stream import Stream
from .values import Array

_ENDLESS = (1 << 64) - 1

Ranges = tuple[range, ...]  # indices along each axis


@dataclass(frozen=True)
class Part:
    """The elements `ours` of a virtual dataset are the elements `theirs` of another, in their order; None: all.

    `uri`: of the file that this one is in, "" for the same file.
    """

    uri: str
    name: str
    ours: Ranges
    theirs: Ranges | None


@dataclass(frozen=True)
class Source:
    """The dataset that a part comes from, opened, with its mapped elements.

    `axes`: for each of its axes with more than one mapped index, the axis of the virtual dataset that it becomes.
    """

    part: Part
    dataset: Dataset
    stream: Stream | None
    theirs: Ranges
    axes: Mapping[int, int]
    where: str


class VirtualDataset(DatasetElsewhere):
    """Reads the values as HDF5 would if the other files were there."""

    def __init__(self, file: h5py.File, place: Place, beside: Beside) -> None:
        super().__init__(file, place, beside)
        self._last: tuple[OpenFile | None, str, tuple[Dataset, Stream | None, str]] | None = None
        self.parts = tuple(self._part(number) for number in range(self.properties.get_virtual_count()))

    def _part(self, number: int) -> Part:
        file = as_text(self.properties.get_virtual_filename(number))
        name = as_text(self.properties.get_virtual_dsetname(number))
        if "%b" in file + name:
            raise Trouble("names with a number to be filled in (%b) are not looked for")
        ours = _ranges(self.properties.get_virtual_vspace(number))
        theirs = _ranges(self.properties.get_virtual_srcspace(number))
        # HDF5 looks for an absolute path beside the file, too
        beside = posixpath.basename(file) if file.startswith("/") else file
        return Part(
            "" if file == "." else self._beside.uri(beside.replace("%%", "%")),
            name.replace("%%", "%"),
            tuple(map(range, self.shape or ())) if ours is None else ours,
            theirs,
        )

    def sources(self, parts: Sequence[Part]) -> Iterator[Source]:
        """Where parts come from, one after the other; each is to be used before the next, which may close its file.

        Raises Trouble.
        """
        uris = deque(dict.fromkeys(part.uri for part in parts))
        for part in parts:
            if uris and part.uri == uris[0]:
                self._beside.expect(uris)
                uris.popleft()
            yield self._source(part)

    def _source(self, part: Part) -> Source:
        dataset, stream, where = self._opened(part.uri, part.name)
        shape = dataset.shape or ()
        theirs = tuple(map(range, shape)) if part.theirs is None else part.theirs
        outside = len(theirs) != len(shape) or any(
            one and one[-1] >= extent for one, extent in zip(theirs, shape, strict=True)
        )
        wide, theirs_wide = _wide(part.ours), _wide(theirs)
        if outside or [len(part.ours[axis]) for axis in wide] != [len(theirs[axis]) for axis in theirs_wide]:
            raise self._trouble(f"{where} has the shape {shape}, in which the mapped elements are not")
        return Source(part, dataset, stream, theirs, dict(zip(theirs_wide, wide, strict=True)), where)

    def _opened(self, uri: str, name: str) -> tuple[Dataset, Stream | None, str]:
        """Another dataset, what its bytes come through, and its name for people. The last one stays open."""
        where = f"dataset {printable(name)} of {printable(uri) or 'its own file'}"
        try:
            opened = self._beside.file(uri) if uri else None
        except Trouble as trouble:
            raise self._trouble(trouble, trouble.cause) from trouble
        # it was closed with its file, where that was opened again
        if self._last and self._last[0] is opened and self._last[1] == name:
            return self._last[2]
        file, stream = (opened.file, opened.stream) if opened else (self._file, None)
        try:
            root = Place(file.id)
            dataset = Dataset(file, Place(root.open(file), root, name))
            problem = values_elsewhere(printable(name), dataset.id)
        except (AttributeError, KeyError, OSError, RuntimeError, TypeError, ValueError) as error:
            raise self._unreadable(where, error, stream) from error
        if dataset.form != self.form:
            raise self._trouble(f"{where} has elements of {dataset.form}, and not of {self.form}")
        if problem:
            raise self._trouble(f"{where} is one more step away: {problem}")
        self._last = opened, name, (dataset, stream, where)
        return self._last[2]

    def read_stored(self, selection: tuple[slice, ...]) -> Array:
        out = np.zeros(extents_of(selection), f"V{self.form.numpy.itemsize}")
        if (fill := self.fill_value()) is not None:
            out[...] = np.frombuffer(fill.tobytes(), out.dtype)[0]
        overlaps = {part: _overlap(part, selection) for part in self.parts}
        for source in self.sources([part for part, ordinals in overlaps.items() if ordinals]):
            ordinals = overlaps[source.part]
            found = [ours[some] for ours, some in zip(source.part.ours, ordinals, strict=True)]
            theirs = tuple(
                one[ordinals[source.axes[axis]]] if axis in source.axes else one
                for axis, one in enumerate(source.theirs)
            )
            place = tuple(
                slice(one.start - axis.start, one.stop - axis.start, one.step)
                for one, axis in zip(found, selection, strict=True)
            )
            out[place] = self._read(source, theirs).reshape([len(one) for one in found])
        return out

    def _read(self, source: Source, theirs: Ranges) -> Array:
        try:
            with source.stream.reading_values() if source.stream else nullcontext():
                return source.dataset.read_stored(tuple(slice(one.start, one.stop, one.step) for one in theirs))
        except (OSError, TypeError, ValueError) as error:
            raise self._unreadable(source.where, error, source.stream) from error

    def _unreadable(self, where: str, error: Exception, stream: Stream | None) -> Trouble:
        """HDF5 does not hand over what went wrong with the bytes of a file."""
        failure = (stream.failure if stream else None) or error
        return self._trouble(f"{where} cannot be read: {failure}", cause_of(failure))


def _ranges(space: h5py.h5s.SpaceID) -> Ranges | None:
    """The indices that a selection has along each axis; None for all. Raises Trouble for one that is not regular."""
    kind = space.get_select_type()
    if kind == h5py.h5s.SEL_ALL:
        return None
    if kind == h5py.h5s.SEL_NONE:
        return tuple(range(0) for _ in space.shape)
    if kind != h5py.h5s.SEL_HYPERSLABS or not space.is_regular_hyperslab():
        raise Trouble("a mapping of elements that are not a regular selection")
    found = []
    for start, stride, count, block in zip(*space.get_regular_hyperslab(), strict=True):
        if _ENDLESS in (count, block):
            raise Trouble("a mapping that grows (an unlimited selection)")
        if count == 1 or stride == block:
            found.append(range(start, start + count * block))
        elif block == 1:
            found.append(range(start, start + count * stride, stride))
        else:
            raise Trouble(f"a mapping of blocks of {block} with gaps between them")
    return tuple(found)


def _wide(ranges: Ranges) -> list[int]:
    """The axes that have not just one index."""
    return [axis for axis, one in enumerate(ranges) if len(one) != 1]


def _overlap(part: Part, selection: tuple[slice, ...]) -> tuple[slice, ...]:
    """Which of a part's indices are in a selection, along each axis; nothing where there are none along one of them."""
    found = tuple(_between(ours, axis.start, axis.stop) for ours, axis in zip(part.ours, selection, strict=True))
    return found if all(one.start < one.stop for one in found) else ()


def _between(indices: range, first: int, end: int) -> slice:
    """Which of some indices are from `first` to `end`."""
    bounds = (-((indices.start - bound) // indices.step) for bound in (first, end))
    return slice(*(min(max(0, bound), len(indices)) for bound in bounds))
