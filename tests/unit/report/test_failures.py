"""Failures by reason."""

from __future__ import annotations

import json

import pytest

from bucket_loader.report import failures


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("took too long: 21600 s", "took too long: 60 s"),
        ("cannot read /data/a/b.h5", "cannot read /other/c.nc"),
        ("dataset '/a/b': 1.5e-3 != 7", 'dataset "/x": 2 != -1.25'),
        ("Error opening file s3://a/b.h5: no", "Error opening file s3://c/d/e.nc: no"),
        ("GET http://10.0.0.1:5101/x?y=1 gave 503", "GET https://hsds/y gave 500"),
        ("token 0x7f3a21 of d41d8cd98f00b204e9800998ecf8427e", "token 0x1 of 9e107d9d372bb6826bd81d3542a419d6"),
    ],
)
def test_what_differs_from_file_to_file_is_taken_out(one: str, other: str) -> None:
    assert failures.normalised(one) == failures.normalised(other) != one


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("no such key", "no such bucket"),
        ("exit status 1", "exit status 255"),
        ("h5py: not an HDF5 file", "hsload: not an HDF5 file"),
    ],
)
def test_what_is_different_stays_different(one: str, other: str) -> None:
    assert failures.normalised(one) != failures.normalised(other)


def test_the_words() -> None:
    group = failures.Group("load", "took too long: N s", 1234, "a\n.h5", "took too long: 60 s")
    assert list(failures.lines([group])) == [
        "   1,234  load failed: took too long: N s",
        "          example: a\\n.h5",
        "          says: took too long: 60 s",
        "1,234 failures, 1 reasons",
    ]
    assert list(failures.lines([])) == ["nothing failed"]
    assert json.loads(next(failures.json_lines([group])))["count"] == 1234
