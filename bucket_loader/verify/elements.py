"""Elements of an attribute, or of a selection of a dataset: are they the same, and if not, which differs first?"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..hdf5 import types, values
from ..hdf5.values import Array, Pair
from .pairs import Sides
from .report import words_of_value


def compare_elements(
    sides: Sides, path: str, pair: Pair, ours: Array, theirs: Array, shape: tuple[int, ...], start: tuple[int, ...]
) -> bool:
    """Compare flat elements of a selection of that shape and start; record the first that differs."""
    sides.record.report.bytes += ours.nbytes
    same = values.equal(pair, ours, theirs)
    if same.all():
        return True
    first = int(np.argmin(same))
    index = np.unravel_index(first, shape) if shape else ()
    where = "[" + ", ".join(str(int(i) + s) for i, s in zip(index, start, strict=True)) + "]" if shape else ""
    inner, leaf, a, b = values.locate(pair, ours[first : first + 1], theirs[first : first + 1])
    count = int((~same).sum())
    what = "value" if count == 1 else f"values ({count} of {len(same)} differ)"
    sides.record.differ(path, what, _tell(sides, leaf, a), _tell(sides, leaf, b), where + inner)
    return False


def _tell(sides: Sides, pair: Pair, value: Any) -> str:
    return sides.objects.tell(value) if isinstance(pair.source, types.Reference) else words_of_value(value)
