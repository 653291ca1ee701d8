"""A survey: that it takes files the whole way."""

from __future__ import annotations

from pathlib import Path

import hdf5plugin  # noqa: F401  so that h5py reads the files
import pytest

from bucket_loader.local.survey import Surveyor
from tests import files


@pytest.mark.long
@pytest.mark.servers
def test_a_survey_takes_files_the_whole_way(tmp_path: Path) -> None:
    paths = {}
    for name, body in {"good.h5": files.GOOD["scalar.h5"], "broken.h5": files.BROKEN["not-hdf5.h5"]}.items():
        paths[name] = tmp_path / name
        paths[name].write_bytes(body)
    seen = []
    with Surveyor.started() as surveyor:
        found = surveyor.survey(paths, True, 120, inspect=lambda path, *_: seen.append(path.name))
    assert [(item.name, item.state, item.mode, item.engine) for item in found] == [
        ("broken.h5", "load failed", "", ""),
        ("good.h5", "verified", "ingest", "direct"),  # a scalar is copied
    ]
    assert "file signature not found" in found[0].reason and seen == ["good.h5"]
