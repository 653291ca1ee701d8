"""The values of one dataset, selection by selection, so that they take little memory and few requests."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..causes import Trouble, cause_of
from ..hdf5 import types, values
from ..hdf5.domain import DomainReadError
from ..hdf5.file import Dataset, blocks, halves, samples
from ..hdf5.values import Array, Pair, Undecodable
from ..hsds import AnswerTooLarge
from .elements import compare_elements
from .pairs import Partners, Sides

VARIABLE_BYTES = 256  # a guess for one element that varies in size, until some have been seen
CHUNKS_PER_REQUEST = 512  # HSDS visits each chunk of a selection: about 5 ms for a linked one
_SAMPLE_BYTES = 1 << 20
UNREADABLE_LIMIT = 3  # datasets whose values cost a whole timeout, before the server is given up


@dataclass
class Reading:
    """How the values of all datasets are read: holding about `max_bytes` bytes of them at most.

    `after_hsdiff`: without those that a good run of hsdiff has compared. `sampled`: of a large dataset the chunks at
    its corners and in its middle, 1 MiB of each at most. `timeouts` counts the datasets whose values did not come in
    time.
    """

    max_bytes: int
    after_hsdiff: bool = False
    sampled: bool = False
    timeouts: int = 0

    @property
    def block_bytes(self) -> int:
        return _SAMPLE_BYTES if self.sampled else max(1, self.max_bytes // 16)


def compare_values(
    sides: Sides, reading: Reading, partners: Partners, dataset: Dataset, pair: Pair, grain: tuple[int, ...]
) -> None:
    """Compare the values of a dataset of the same shape on both sides, until a selection differs or cannot be read.

    `grain` is the shape of what HSDS visits one by one. Raises `Trouble` for a server that lets too many datasets wait.
    """
    assert dataset.shape is not None
    reader = Reader(sides, reading, partners, dataset, pair)
    if not dataset.shape:
        reader.compare(())
        return
    if len(grain) != len(dataset.shape) or 0 in grain:
        grain = dataset.chunks or dataset.shape
    # of values in other files, hsdiff has seen fill values
    if reading.after_hsdiff and dataset.form.is_plain and not dataset.is_elsewhere:
        if isinstance(dataset.form, types.Integer):
            return
        reader.zeros_only = isinstance(dataset.form, types.Float)
    elements = max(1, reading.block_bytes // reader.element_bytes)
    selections = samples if reading.sampled else blocks
    for selection in selections(dataset.shape, grain, elements, CHUNKS_PER_REQUEST):
        if not reader.compare(selection):
            return


class Reader:
    """Reads and compares one dataset's selections; cuts them where elements turn out larger than was guessed."""

    def __init__(self, sides: Sides, reading: Reading, partners: Partners, dataset: Dataset, pair: Pair) -> None:
        self.sides, self.reading = sides, reading
        self.partners, self.dataset, self.pair = partners, dataset, pair
        self.variable = pair.source.is_variable
        size = VARIABLE_BYTES
        if not self.variable:
            size = max(form.numpy.itemsize for form in (pair.source, pair.domain))
        self.element_bytes = size
        self.zeros_only = False  # values that are not zero are known to be equal
        self.allowed = 64 if self.variable else None  # elements that may be read at once, by what has been seen

    def compare(self, selection: tuple[slice, ...]) -> bool:
        """Compare a selection; False when the rest of the dataset need not be looked at."""
        count = math.prod(s.stop - s.start for s in selection)
        if self.allowed is not None and count > self.allowed:
            return all(self.compare(half) for half in halves(selection))
        record, path, limit = self.sides.record, self.partners.path, self.reading.max_bytes // 4
        if self.zeros_only and not self._has_zeros(selection):
            return True
        try:
            data = self.sides.domain.values(self.partners.identity, selection, limit)
            theirs = values.from_bytes(data, self.pair.domain, count)
        except AnswerTooLarge:
            if parts := halves(selection):
                return all(self.compare(part) for part in parts)
            record.trouble(path, f"one element is larger than {limit} bytes; raise max_bytes")
            return False
        except (DomainReadError, Undecodable) as error:
            where = "[" + ", ".join(f"{s.start}:{s.stop}" for s in selection) + "]" if selection else ""
            self._unreadable(where, error)
            return False
        try:
            ours = self.dataset.read(selection)
        except (OSError, TypeError, ValueError) as error:
            filters = ", ".join(self.dataset.filters()) or "none"
            words = f"the values of the source cannot be read; filters: {filters} ({error})"
            record.trouble(path, words, cause_of(error))
            return False
        self._learn(count, len(data), ours)
        shape = tuple(s.stop - s.start for s in selection)
        return compare_elements(self.sides, path, self.pair, ours, theirs, shape, tuple(s.start for s in selection))

    def _has_zeros(self, selection: tuple[slice, ...]) -> bool:
        """Whether a selection of the source has a zero, or cannot be read."""
        try:
            ours = self.dataset.read(selection)
        except (OSError, TypeError, ValueError):
            return True
        return not ours.all()

    def _learn(self, count: int, size: int, ours: Array) -> None:
        if self.allowed is None or not count:
            return
        size = max(size, _deep_size(ours))
        self.allowed = max(1, min(4 * self.allowed, self.reading.block_bytes * count // max(size, 64 * count)))

    def _unreadable(self, where: str, error: DomainReadError | Undecodable) -> None:
        words = f"unreadable: {error}"
        self.sides.record.differ(self.partners.path, "values", "readable", words, where, cause_of(error))
        if isinstance(error, DomainReadError) and error.timed_out:
            self.reading.timeouts += 1
            if self.reading.timeouts >= UNREADABLE_LIMIT:
                raise Trouble(
                    f"{self.sides.domain!r} timed out on {UNREADABLE_LIMIT} datasets, last {self.partners.path}", "away"
                )


def _deep_size(array: Array) -> int:
    """The bytes that an array of objects leads to."""
    if array.dtype.names:
        return sum(_deep_size(array[name]) for name in array.dtype.names)
    if array.dtype.kind != "O":
        return int(array.nbytes)
    return sum(int(item.nbytes) if isinstance(item, np.ndarray) else len(item) for item in array.flat if _sized(item))


def _sized(item: Any) -> bool:
    return isinstance(item, (np.ndarray, bytes, str))
