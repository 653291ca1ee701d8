"""What the fuzz found, each by the smallest damage that does it."""

from __future__ import annotations

import io
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from bucket_loader.children.answer import Answer
from bucket_loader.children.limits import Budget
from bucket_loader.children.tool import Tools
from bucket_loader.hdf5.file import maxshape_of
from bucket_loader.load import steps
from bucket_loader.s3 import Source
from tests.world import World


def body() -> bytearray:
    made = io.BytesIO()
    with h5py.File(made, "w") as file:
        file.create_dataset("g/data", data=np.arange(10, dtype="i4"))
        file.create_dataset("texts", data=["one", "two"])
    return bytearray(made.getvalue())


def unknown_type() -> bytes:
    """The type of /g/data is of a version that there is not."""
    out = body()
    at = out.index(b"\x10\x08\x00\x00\x04\x00\x00\x00\x00\x00\x20\x00")  # an integer of 4 bytes, 32 bits from bit 0
    out[at] = 0x70
    return bytes(out)


def endless_text() -> bytes:
    """A heap of texts that begins with a piece of no length: HDF5 goes on from it to itself."""
    out = body()
    at = out.index(b"GCOL") + 16
    out[at : at + 16] = bytes(16)
    return bytes(out)


def looked_at(content: bytes, folder: Path) -> tuple[Answer, str]:
    """What a look answers, and prints. In a process of its own, as always: HDF5 may crash."""
    (folder / "file.h5").write_bytes(content)
    argv = [sys.executable, "-m", "bucket_loader.load.preflight", "file.h5", "--answer", "answer"]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=60)
    return Answer.from_json((folder / "answer").read_text()), done.stdout + done.stderr


def test_an_object_that_hdf5_cannot_read_is_named(tmp_path: Path) -> None:
    answer, printed = looked_at(unknown_type(), tmp_path)
    assert (answer.verdict, answer.cause) == ("trouble", "file")
    assert answer.reason.startswith("/g/data cannot be read: ") and "datatype message" in answer.reason
    assert "Traceback" not in printed


@pytest.mark.long
def test_a_file_that_cannot_be_read_through_is_not_loaded(world: World) -> None:
    world.put("unknown.h5", unknown_type())
    world.make_inventory()
    world.scan()
    log = world.run("loader.py", "--drain").stderr
    row = world.rows()["unknown.h5"]
    assert row["state"] == "load failed" and row["loadreason"].startswith("/g/data cannot be read: ")
    assert row["loadattempts"] == 1 and "hsload=" not in log


def test_what_makes_a_reason_better_may_not_take_the_time_of_a_load(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in world.servers.s3.env().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(steps, "DIAGNOSE_SECONDS", 2.0)
    world.put("endless.h5", endless_text())
    config = world.config()
    began = time.monotonic()
    children = Tools(config, Source(config)).within(Budget(120, "load_time_limit"), lambda: True)
    said = steps.diagnose(children, "endless.h5")
    assert said == "" and time.monotonic() - began < 60


def test_a_limit_near_that_of_no_limit_is_a_limit() -> None:
    space = h5py.h5s.create_simple((5, 5, 5), (h5py.h5s.UNLIMITED, 2**64 - 2, 2**63))
    assert maxshape_of(space) == (None, 2**64 - 2, 2**63)


@pytest.mark.parametrize("kind", ["soft", "external"])
def test_a_link_to_a_name_that_is_not_utf8_is_refused(tmp_path: Path, kind: str) -> None:
    """hsload writes the text `b'/caf\\xe9'` in its place."""
    made = io.BytesIO()
    with h5py.File(made, "w") as file:
        group = file.create_group("g")
        links = group.id.links
        links.create_soft(b"link", b"/caf\xe9") if kind == "soft" else links.create_external(b"link", b"f", b"/caf\xe9")
    answer, _ = looked_at(made.getvalue(), tmp_path)
    assert (
        answer.content["load_problem"]
        == "link link of /g leads to a name that is not UTF-8: hsload would write another"
    )
