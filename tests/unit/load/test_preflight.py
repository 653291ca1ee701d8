"""What a load sees of a file before it begins."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from bucket_loader.load.object_counts import Counts
from bucket_loader.load.preflight import Preflight, main, preflight
from tests import files


def test_each_object_is_counted_once(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["data"] = np.arange(5)
        file["again"] = file["data"]
        file["soft"], file["external"] = h5py.SoftLink("/data"), h5py.ExternalLink("other.h5", "/x")
        file["type"] = np.dtype("i4")
        file["loop"] = file["/"]
        for number in range(2):
            file.create_group(f"groups/{number}").attrs["number"] = number
        file.attrs["title"] = "t"
        assert preflight(file).counts == Counts(groups=4, datasets=1, types=1, links=9, attributes=3)


def test_what_is_missing_is_told_in_numbers() -> None:
    counts = Counts(groups=3, datasets=2, links=4)
    assert counts.missing_in(counts) == ""
    assert counts.missing_in(Counts(groups=3, datasets=1, links=3)) == "1 of 2 datasets, 3 of 4 links"


def test_attributes_that_hsload_spoils_are_counted(tmp_path: Path) -> None:
    colours = h5py.enum_dtype({"RED": 0, "GREEN": 1}, "i2")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        attrs = file.create_group("g").attrs
        attrs["reference"] = file["g"].ref
        attrs.create("colour", 1, dtype=colours)
        attrs.create("colours", [1, 0], dtype=colours)
        attrs["flag"], attrs["number"], attrs["references"] = True, 3, [file.ref]
        assert preflight(file).needs_repair == 2


@pytest.mark.parametrize("what", ["attribute", "link"])
@pytest.mark.parametrize(("name", "refused"), [("what?", True), ("#1", True), ("a%20b", True), ("50%", False)])
def test_what_hsload_would_rename_is_refused(tmp_path: Path, what: str, name: str, refused: bool) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        group = file.create_group("g")
        if what == "attribute":
            group.attrs[name] = 1
        else:
            group[name] = h5py.SoftLink("/")
        told = preflight(file).load_problem
    assert told == (f"{what} {name} of /g: hsload would write it under another name" if refused else "")


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "good.h5").write_bytes(files.GOOD["chunked.h5"])
    (tmp_path / "bad.h5").write_bytes(files.UNLINKABLE["lossless_offset.h5"])
    (tmp_path / "broken.h5").write_bytes(b"x")
    assert main([str(tmp_path / "good.h5")]) == 0
    good = Preflight.from_json(json.loads(capsys.readouterr().out))
    assert good == Preflight(Counts(groups=1, datasets=1, links=1), levels=1, chunks=6)
    assert main([str(tmp_path / "bad.h5")]) == 0
    bad = Preflight.from_json(json.loads(capsys.readouterr().out))
    assert "dataset /data has chunks with scaleoffset" in bad.link_problem
    assert main(["--copied", str(tmp_path / "bad.h5")]) == 0
    copied = Preflight.from_json(json.loads(capsys.readouterr().out))
    assert copied == replace(good, chunks=4), "what is copied need not be linkable"
    assert main([str(tmp_path / "broken.h5")]) == 2
    assert "file signature not found" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main([])


def test_what_a_version_of_hsds_cannot_hand_out_is_refused_where_it_is_to_read(tmp_path: Path) -> None:
    record = np.dtype([("name", h5py.string_dtype()), ("numbers", "i4", (3,))])
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("records", shape=(5,), dtype=record)
        assert not preflight(file, readers=["0.9.4"]).load_problem
        told = preflight(file, readers=["0.9.4", "1.0.2"]).load_problem
    assert told.startswith("dataset /records has compounds of variable size with an array in them")
    assert told.endswith("which HSDS 1.0.2 cannot hand out")
