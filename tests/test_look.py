"""What a load sees of a file before it begins."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from bucket_loader.children.answer import Answer
from bucket_loader.children.judge import Verdict, judge_look
from bucket_loader.children.supervise import Ending, Finished
from bucket_loader.load.object_counts import Counts
from bucket_loader.load.preflight import Look, look, main
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
        assert look(file).counts == Counts(groups=4, datasets=1, types=1, links=9, attributes=3)


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
        assert look(file).spoiled == 2


@pytest.mark.parametrize("what", ["attribute", "link"])
@pytest.mark.parametrize(("name", "refused"), [("what?", True), ("#1", True), ("a%20b", True), ("50%", False)])
def test_what_hsload_would_rename_is_refused(tmp_path: Path, what: str, name: str, refused: bool) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        group = file.create_group("g")
        if what == "attribute":
            group.attrs[name] = 1
        else:
            group[name] = h5py.SoftLink("/")
        told = look(file).refusal
    assert told == (f"{what} {name} of /g: hsload would write it under another name" if refused else "")


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "good.h5").write_bytes(files.GOOD["chunked.h5"])
    (tmp_path / "bad.h5").write_bytes(files.UNLINKABLE["lossless_offset.h5"])
    (tmp_path / "broken.h5").write_bytes(b"x")
    assert main([str(tmp_path / "good.h5")]) == 0
    good = Look.from_json(json.loads(capsys.readouterr().out))
    assert good == Look(Counts(groups=1, datasets=1, links=1), levels=1, chunks=6)
    assert main([str(tmp_path / "bad.h5")]) == 0
    assert "dataset /data has chunks with scaleoffset" in Look.from_json(json.loads(capsys.readouterr().out)).obstacle
    assert main(["--copied", str(tmp_path / "bad.h5")]) == 0
    copied = Look.from_json(json.loads(capsys.readouterr().out))
    assert copied == replace(good, chunks=4), "what is copied need not be linkable"
    assert main([str(tmp_path / "broken.h5")]) == 2
    assert "file signature not found" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main([])


def test_a_look_that_came_to_no_end_is_a_verdict_and_one_that_could_not_read_is_left_to_hsload() -> None:
    seen, judged = judge_look(
        Finished(Ending.EXITED, 0, 1.0, answer=Answer("done", content=Look(Counts(groups=1)).to_json()).to_json())
    )
    assert seen == Look(Counts(groups=1)) and judged.verdict is Verdict.GOOD
    seen, judged = judge_look(Finished(Ending.TOO_LONG, 15, 9.0, limit="9 s (load_time_limit)"))
    assert seen is None and judged.verdict is Verdict.BAD and judged.limited
    trouble = Answer("trouble", "s3://b/k cannot be read: file signature not found")
    seen, judged = judge_look(Finished(Ending.EXITED, 2, 1.0, answer=trouble.to_json()))
    assert seen is None and judged.verdict is Verdict.BAD and not judged.limited


def test_an_answer_holds_lines_however_long_the_names_of_a_file_are(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        group = file
        for _ in range(40):
            group = group.create_group("n" * 7_000)
        group["#"] = h5py.SoftLink("/")
    answered = tmp_path / "answer.json"
    assert main([str(tmp_path / "a.h5"), "--answer", str(answered)]) == 0
    told = Look.from_json(Answer.from_json(answered.read_text()).content)
    assert len(told.refusal) <= 401 and told.refusal.endswith(": hsload would write it under another name")
