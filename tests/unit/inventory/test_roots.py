"""The column of replaced roots."""

from __future__ import annotations

import pytest

from bucket_loader.inventory import roots
from bucket_loader.inventory.roots import MOST, Replaced


def test_a_row_names_several_roots() -> None:
    some = [Replaced(f"{number:016x}", 1_800_000_000 + number) for number in range(MOST)]
    assert roots.parse(roots.join(some)) == some
    assert len(roots.join(some)) == roots.COLUMN_BYTES
    assert roots.parse("") == [] and roots.join([]) == ""


def test_one_more_than_it_can_is_an_error() -> None:
    some = [Replaced("0" * 16, 1)] * (MOST + 1)
    with pytest.raises(ValueError, match=f"{MOST + 1} replaced roots, where a row can name {MOST}"):
        roots.join(some)
