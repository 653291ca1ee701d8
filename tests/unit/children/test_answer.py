"""What a child leaves for its parent while it works."""

from __future__ import annotations

from pathlib import Path

import pytest

from bucket_loader.children import answer
from tests.waiting import until


def test_how_far_a_child_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer, "PROGRESS_SECONDS", 0.02)
    numbers = {"objects": 1, "of": 7, "bytes": 100}
    assert answer.read_progress(tmp_path) == {}
    with answer.telling(str(tmp_path / answer.FILE), lambda: numbers):
        until(lambda: answer.read_progress(tmp_path) == numbers, 5)
        numbers = numbers | {"objects": 2}
        until(lambda: answer.read_progress(tmp_path)["objects"] == 2, 5)


def test_a_child_that_is_done_soon_says_nothing_of_it(tmp_path: Path) -> None:
    with answer.telling(str(tmp_path / answer.FILE), dict):
        pass
    with answer.telling(None, dict):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("left", ["", "[]", "7", '{"objects": 1}', '{"objects": [], "of": 1, "bytes": 1}', "\ud800"])
def test_what_is_no_progress_is_none(tmp_path: Path, left: str) -> None:
    (tmp_path / answer.PROGRESS_FILE).write_text(left, errors="surrogatepass")
    assert answer.read_progress(tmp_path) == {}
