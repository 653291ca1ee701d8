"""Times, sizes and keys as people read them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucket_loader.inventory.model import Doing
from bucket_loader.report import words


def test_times_have_their_zone() -> None:
    shown = words.when(1_700_000_000)
    assert shown[10] == "T" and shown[-6] in "+-"
    assert words.when(0) == words.minute(0) == "-"
    assert re.fullmatch(r"UTC[+-]\d\d:\d\d", words.zone())


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (59.9, "59s"), (61, "1m 01s"), (3600, "1h 00m"), (90061, "1d 1h")]
)
def test_durations(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


@pytest.mark.parametrize(("size", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 * 1024**4, "5.0 TiB")])
def test_amounts(size: int, text: str) -> None:
    assert words.amount(size) == text


@given(st.sampled_from(["write", "hsload"]), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 2**50))
def test_what_a_worker_does_comes_back_from_its_column(step: str, objects: int, of: int, size: int) -> None:
    written = Doing(step, objects, of, size)
    assert len(written.to_column()) <= 48
    assert Doing.from_column(written.to_column()) == (written if of else Doing(step))


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("write 31/1105 188743680", "write 31 of 1,105 objects, 180.0 MiB"),
        ("hsload", "hsload"),
        ("", ""),
        ("write 3/", "write"),
    ],
)
def test_what_a_worker_does(column: str, text: str) -> None:
    assert words.doing(column) == text
