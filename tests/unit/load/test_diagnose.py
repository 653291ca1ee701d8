"""What hsload cannot load is named: the object, and why."""

from __future__ import annotations

from pathlib import Path

import h5py
import pytest

from bucket_loader.load.diagnose import main, reasons
from tests.odd_files import ODD


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("arrays", "dataset /data has an array type (array [3, 2] of integer of 32 bits LE)"),
        ("attribute_slash", "attribute a/b of / has a name that hsload cannot write"),
        ("attribute_dot", "attribute . of / has a name that hsload cannot write"),
        ("long_double", "dataset /data has the type float of 128 bits LE"),
        ("nested_sequences", "dataset /data has sequences of items of variable length"),
        ("sequences_of_records", "dataset /data has sequences of compound"),
        ("region_references", "dataset /data has region references, which HSDS cannot hold"),
        ("opaque", "the values of dataset /data of the type opaque of 5 bytes, tag 'my tag' cannot be read by h5py"),
        ("not_utf8", "link /caf\udce9 has a name that is not UTF-8"),
    ],
)
def test_what_hsload_cannot_load_is_named(tmp_path: Path, name: str, words: str) -> None:
    fill, options = ODD[name]
    with h5py.File(tmp_path / "a.h5", "w", **options) as file:
        fill(file)
        assert next(reasons(file)).startswith(words)
    assert main([str(tmp_path / "a.h5")]) == 0


@pytest.mark.parametrize("name", ["names", "growing", "empty_things", "cycle", "sequences", "bool", "named_types"])
def test_nothing_is_said_of_a_file_that_loads(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    fill, options = ODD[name]
    with h5py.File(tmp_path / "a.h5", "w", **options) as file:
        fill(file)
    assert main([str(tmp_path / "a.h5")]) == 0
    assert capsys.readouterr().out == ""
