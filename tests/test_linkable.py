"""Which files can be linked. That the others really cannot be read back is what the filters below were tried for."""

from __future__ import annotations

from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest

from bucket_loader.linkable import main, obstacles
from tests import files

DATA = np.arange(2000, dtype="i4")


def told(path: Path) -> list[str]:
    with h5py.File(path) as file:
        return list(obstacles(file))


@pytest.mark.parametrize(
    "options", [{}, {"compression": "gzip"}, {"shuffle": True}, {"compression": 9, "shuffle": True}]
)
def test_what_hsds_decodes(tmp_path: Path, options: dict[str, object]) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("group/data", data=DATA, chunks=(500,), **options)
    assert told(tmp_path / "a.h5") == []


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"scaleoffset": 0}, "scaleoffset"),
        ({"fletcher32": True}, "fletcher32"),
        ({"compression": "lzf"}, "lzf"),
        ({"compression": "szip"}, "szip"),
        (dict(hdf5plugin.LZ4()), "lz4"),
        (dict(hdf5plugin.Zstd()), "zstd"),
        (dict(hdf5plugin.Blosc()), "blosc"),
        (dict(hdf5plugin.Bitshuffle()), "bitshuffle"),
    ],
)
def test_what_hsds_does_not_decode(tmp_path: Path, options: dict[str, object], name: str) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("fine", data=DATA)
        file.create_dataset("group/data", data=DATA, chunks=(500,), **options)
    (line,) = told(tmp_path / "a.h5")
    assert line.startswith("dataset /group/data has chunks with") and name.lower() in line.lower()


def test_small_and_contiguous_datasets_do_not_matter(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("copied", data=DATA[:512], chunks=(100,), compression="lzf")
        file.create_dataset("contiguous", data=DATA)
        file["null"] = h5py.Empty("f4")
    assert told(tmp_path / "a.h5") == []


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "good.h5").write_bytes(files.GOOD["chunked.h5"])
    (tmp_path / "bad.h5").write_bytes(files.UNLINKABLE["lossless_offset.h5"])
    (tmp_path / "broken.h5").write_bytes(b"x")
    assert main([str(tmp_path / "good.h5")]) == 0
    assert main([str(tmp_path / "bad.h5")]) == 1
    assert "dataset /data has chunks with scaleoffset" in capsys.readouterr().out
    assert main([str(tmp_path / "broken.h5")]) == 2
    assert main([]) == 2
