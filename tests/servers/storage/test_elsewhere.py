"""Values that lie in other objects are linked or copied by the direct engine, and compared, as HDF5 does on a disk."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from bucket_loader.causes import Trouble
from tests.views import REFUSED, VIEWS, Fill

pytestmark = pytest.mark.servers
MODES = pytest.mark.parametrize("mode", ["link", "ingest"])

# datasets of a file of which each is linked, where links are wanted
LINKED = {"torn": 1, "other_fill": 0, "raw_files": 2}


def made(verify_servers, folder: Path, name: str, fill: Fill) -> Path:
    """A file in the bucket, with those that it names."""
    path = folder / f"view-{name}.h5"
    with h5py.File(path, "w") as file:
        fill(file, folder)
    for other in folder.rglob("*.*"):
        if other != path:
            verify_servers.s3.client().upload_file(str(other), "src", str(other.relative_to(folder)))
    return path


@MODES
@pytest.mark.parametrize("name", VIEWS)
def test_values_of_other_files(
    verify_servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, mode: str
) -> None:
    monkeypatch.chdir(tmp_path)  # HDF5 looks for external storage there
    path = made(verify_servers, tmp_path, name, VIEWS[name])
    domain, written = verify_servers.write(path, mode, copy=True)
    with h5py.File(path) as source, verify_servers.open(domain, "r", verify_servers.reader) as read:
        for key, dataset in source.items():
            np.testing.assert_array_equal(read[key][()], dataset[()], err_msg=key)
    report = verify_servers.verify(path, domain)
    assert report.same, "\n".join(map(str, report.differences + report.troubles))
    assert written.linked == (LINKED.get(name, 1) if mode == "link" else 0), written.copied_why


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_from_other_files_is_refused(verify_servers, tmp_path: Path, name: str) -> None:
    fill, words = REFUSED[name]
    (tmp_path / "refused-no_hdf5.txt").write_text("no HDF5 file")
    path = made(verify_servers, tmp_path, name, fill)
    with pytest.raises(Trouble, match=words) as raised:
        verify_servers.write(path, "link")
    assert "dataset /data" in str(raised.value)


@MODES
def test_only_what_is_below_a_prefix_is_read(verify_servers, tmp_path: Path, mode: str) -> None:
    path = made(verify_servers, tmp_path, "prefix", VIEWS["chunk_each"])
    with pytest.raises(Trouble, match=r"frames/0\.h5 is not below src_prefix"):
        verify_servers.write(path, mode, within=["view-"])
    verify_servers.write(path, mode, within=["view-", "frames/"])


@MODES
@pytest.mark.parametrize("after_hsdiff", [False, True])
@pytest.mark.parametrize("name", ["chunk_each", "raw_files"])
def test_a_copy_that_differs_is_found(verify_servers, tmp_path: Path, name: str, mode: str, after_hsdiff: bool) -> None:
    """Also after hsdiff, which compares with fill values, and may have found the same in a domain."""
    path = made(verify_servers, tmp_path, name, VIEWS[name])
    domain, _ = verify_servers.write(path, mode)
    other = tmp_path / "raw/all.bin"
    if name == "chunk_each":
        with h5py.File(tmp_path / "frames/2.h5", "r+") as file:
            file["group/data"][63, 299] += 1
    else:
        body = bytearray(other.read_bytes())
        body[8 + 4 * 123] ^= 1
        other.write_bytes(body)
    report = verify_servers.verify(path, domain, after_hsdiff=after_hsdiff)
    where = {"chunk_each": ["/data"], "raw_files": ["/one", "/short", "/uneven"]}[name]
    assert [found.path for found in report.differences] == where, report.summary()


def test_without_the_other_files_there_is_no_verdict(verify_servers, tmp_path: Path) -> None:
    path = made(verify_servers, tmp_path, "gone", VIEWS["chunk_each"])
    domain, _ = verify_servers.write(path, "link")
    (tmp_path / "frames/3.h5").unlink()
    with pytest.raises(Trouble, match=r"dataset /data .*frames/3\.h5 cannot be read"):
        verify_servers.verify(path, domain)
