"""Times, sizes and keys as people read them."""

from __future__ import annotations

import re

import pytest

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
