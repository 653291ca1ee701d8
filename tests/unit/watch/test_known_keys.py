"""What a watcher knows of rows, and how it looks up the pages of a listing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bucket_loader.inventory.model import COLUMNS, Rows, key_digest
from bucket_loader.inventory.states import State
from bucket_loader.s3 import SourceObject
from bucket_loader.watch.known_keys import KnownKeys

PAGE = [SourceObject(f"{number}.h5", 100 + number, f"etag-{number}", 1_700_000_000) for number in range(10)]


def rows_of(items: Sequence[SourceObject]) -> Rows:
    rows = np.zeros(len(items), COLUMNS)
    for row, item in zip(rows, items, strict=True):
        row["keyhash"], row["state"] = key_digest(item.key).hex().encode(), State.NEW
        row["size"], row["etag"], row["modified"] = item.size, item.etag.encode(), item.modified
    return rows


def known_rows() -> KnownKeys:
    known = KnownKeys()
    known.extend(rows_of(PAGE))
    return known


def news_of(known: KnownKeys, page: Sequence[SourceObject]) -> tuple[list[int], list[int]]:
    """A pass with one page: the places of what is missing, and of what needs a closer look."""
    known.begin_pass()
    missing, news = known.compare(page)
    for place, row, fingerprint in news:  # as the watcher does it
        assert row == place
        known.fingerprints[row], known.vanished[row] = fingerprint, False
    return missing, [place for place, _, _ in news]


def test_a_page_that_was_the_same_a_pass_ago_is_seen_again() -> None:
    known = known_rows()
    for _ in range(3):
        assert news_of(known, PAGE) == ([], [])
        assert known.seen.all()
    known.begin_pass()
    assert not known.seen.any()


def test_an_object_that_changes_and_changes_back_is_news_each_time() -> None:
    known = known_rows()
    changed = [*PAGE[:3], replace(PAGE[3], etag="other"), *PAGE[4:]]
    for page in (changed, PAGE, changed, PAGE):
        assert news_of(known, page) == ([], [3])
        assert news_of(known, page) == ([], [])
        assert news_of(known, page) == ([], [])


def test_an_object_that_is_gone_and_comes_back_is_news() -> None:
    known = known_rows()
    assert news_of(known, PAGE) == ([], [])
    assert news_of(known, PAGE[1:]) == ([], [])
    assert known.seen.tolist() == [False] + 9 * [True]
    known.vanished[0] = True
    assert news_of(known, PAGE) == ([], [0])
    assert news_of(known, PAGE) == ([], [])


def test_what_is_not_known_is_missing_until_it_is() -> None:
    known = known_rows()
    page = [*PAGE, SourceObject("new.h5", 1, "e", 1)]
    assert news_of(known, page) == ([10], [])
    assert news_of(known, page) == ([10], [])
    known.extend(rows_of(page[10:]))
    assert news_of(known, page) == ([], [])


def test_rows_that_a_table_lost_are_missing_again() -> None:
    known = known_rows()
    assert news_of(known, PAGE) == ([], [])
    known.truncate(8)
    assert news_of(known, PAGE) == ([8, 9], [])
