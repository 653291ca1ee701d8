"""The page of what can be loaded: what is on it, and for what files."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401  so that h5py reads the files
import numpy as np
import pytest

from bucket_loader.local.compatibility import main, page
from bucket_loader.local.survey import Found, filter_files


def test_the_page_groups_outcomes_and_counts_notes() -> None:
    refused, again = (f"connection to localhost:{port} | <refused>" for port in (4711, 4712))  # one outcome
    surveys = {
        "link": [
            Found("a.h5", "verified", "link", "direct", "PASSED"),
            Found("b.h5", "verified", "ingest", "hsload", "PASSED"),
            Found("c.h5", "load failed", "", "", refused),
        ],
        "ingest": [
            Found("a.h5", "verified", "ingest", "direct", "PASSED", Counter({"type padding": 3})),
            Found("b.h5", "verified", "ingest", "direct", "PASSED", Counter({"type padding": 1, "user block": 1})),
            Found("c.h5", "load failed", "", "", again),
        ],
    }
    filters = {wanted: [Found("lzf", "verified", "unfilt", "hsload", "PASSED")] for wanted in surveys}
    lines = page(3, "auto", surveys, filters).splitlines()
    assert "| link | 1 | 1 | 0 | 0 | 1 | 1 | 0 |" in lines
    assert "| ingest | 0 | 2 | 0 | 0 | 0 | 1 | 0 |" in lines
    assert r"| c.h5 | link, ingest | load failed | connection to localhost:… \| &lt;refused> |" in lines
    assert "| b.h5 | ingest |" in lines, "wanted linked, and ingested"
    assert "| type padding | 2 | 4 |" in lines and "| user block | 1 | 1 |" in lines
    assert "| lzf | ingested with gzip | ingested with gzip |" in lines


def test_the_files_of_the_filter_table_are_filtered(tmp_path: Path) -> None:
    made = filter_files(tmp_path)
    assert len(made) >= 15
    for name, path in made.items():
        with h5py.File(path) as file:
            assert bool(file["data"].id.get_create_plist().get_nfilters()) is (name != "none")
            assert (file["data"][...] == np.arange(2000)).all() or name == "scale-offset, 12 bits"


def test_a_folder_that_is_none_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([str(tmp_path / "none")])
    assert "is not a folder" in capsys.readouterr().err
