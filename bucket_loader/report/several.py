"""Several inventories as one, for reports: a bucket of many million files is better split by prefix."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, cast

import numpy as np

from ..inventory.model import Rows
from ..inventory.table import Table

_SPAN = 1 << 40  # places of one inventory: more than any has rows


class Readable(Protocol):
    """What a report reads: an inventory, or several. Places are numbers that grow through all of them."""

    @property
    def dtype(self) -> np.dtype[np.void]: ...

    @property
    def chunk_rows(self) -> int: ...

    def stream(self, columns: Sequence[str] | None = None) -> Iterator[tuple[int, Rows]]:
        """All rows with some columns, as (place of the first row, rows), in order."""
        ...

    def read(self, start: int, stop: int, columns: Sequence[str] | None = None) -> Rows:
        """The rows at the places start to stop (exclusive), which are of one inventory."""
        ...

    def at(self, place: int) -> tuple[str, int]:
        """The domain of the inventory that a place is in, and the index of its row there."""
        ...


class Several:
    """Inventories one after another, with the columns that all of them have."""

    def __init__(self, tables: Sequence[Table]) -> None:
        self._tables = tables
        first = tables[0].dtype
        shared = set.intersection(*(set(table.dtype.names or ()) for table in tables))
        self.dtype = np.dtype([(name, first[name]) for name in cast("tuple[str, ...]", first.names) if name in shared])
        self.chunk_rows = min(table.chunk_rows for table in tables)

    def stream(self, columns: Sequence[str] | None = None) -> Iterator[tuple[int, Rows]]:
        for number, table in enumerate(self._tables):
            for start, block in table.stream(columns):
                yield number * _SPAN + start, block

    def read(self, start: int, stop: int, columns: Sequence[str] | None = None) -> Rows:
        number, first = divmod(start, _SPAN)
        return self._tables[number].read(first, first + stop - start, columns)

    def at(self, place: int) -> tuple[str, int]:
        number, index = divmod(place, _SPAN)
        return self._tables[number].domain, index
