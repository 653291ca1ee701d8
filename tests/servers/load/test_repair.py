"""What is done between hsload's end and "loaded": attributes are written again, objects are counted."""

from __future__ import annotations

import h5py
import h5pyd
import numpy as np
import pytest
from h5pyd._apps.utillib import load_file

from bucket_loader.hsds import Hsds
from bucket_loader.load.object_counts import Counts, count, crawl, of_domain
from bucket_loader.load.preflight import preflight
from bucket_loader.load.repair import main
from tests.copies import BUCKET, PASSWORD, USER
from tests.samples import low_level


@pytest.fixture
def hsds(verify_servers):
    return Hsds(verify_servers.hsds.endpoint, USER, PASSWORD, BUCKET)


def test_a_good_copy_has_as_many_of_each_as_its_file(base_file, base_domains, hsds):
    with h5py.File(base_file) as file:
        expected = preflight(file).counts
    for name in base_domains.values():
        assert of_domain(hsds, name)[1] == expected
        one_by_one = crawl(hsds, name, hsds.root_of(name))  # HSDS hands out up to 500 objects at once
        assert count(one_by_one) == expected


@pytest.mark.long
def test_many_objects_are_counted_with_few_requests(verify_servers, hsds, monkeypatch):
    with verify_servers.open("/home/admin/many.h5", "w") as domain:
        inner = domain.create_group("an inner % group/ü")
        for number in range(600):
            inner.create_group(f"{number}")
        inner["1"].attrs["a"], inner["back"] = 1, domain["/"]
    asked = []
    request = hsds.request
    monkeypatch.setattr(hsds, "request", lambda *args, **options: asked.append(args) or request(*args, **options))
    _, counts = of_domain(hsds, "/home/admin/many.h5")
    assert counts == Counts(groups=603, links=603, attributes=1)
    # what HSDS hands out at once, the root, the two groups below it, and two for the 600
    assert len(asked) <= 6, asked


def test_an_object_that_is_linked_to_and_not_there_is_notcounted(verify_servers, hsds):
    with verify_servers.open("/home/admin/gone.h5", "w") as domain:
        identity = domain.create_dataset("data", data=np.arange(5)).id.uuid
    _, whole = of_domain(hsds, "/home/admin/gone.h5")
    hsds.request("DELETE", f"/datasets/{identity}", "/home/admin/gone.h5")
    assert whole.missing_in(of_domain(hsds, "/home/admin/gone.h5")[1]) == "0 of 1 datasets"


def test_scalar_references_and_enums_are_written_again(verify_servers, hsds, tmp_path, monkeypatch):
    colours = h5py.enum_dtype({"RED": 0, "GREEN": 7}, ">u2")
    path = tmp_path / "needs_repair.h5"
    with h5py.File(path, "w") as file:
        file["a/data"] = np.arange(3)
        file["type"] = np.dtype("f4")
        for owner in (file, file["a"], file["a/data"], file["type"]):
            owner.attrs["target"], owner.attrs["self"] = file["a/data"].ref, file["a"].ref
            owner.attrs["null"] = h5py.Reference()
            owner.attrs.create("a colour ü", 7, dtype=colours)
        file["a/b/root"] = file["/"]
    name = verify_servers.load(path, "ingest")
    assert {d.what for d in verify_servers.verify(path, name).differences} == {"type", "object"}
    for key, value in verify_servers.env().items():
        monkeypatch.setenv(key, value)
    verify_servers.changed.add(name)
    assert main([str(path), name]) == 0
    report = verify_servers.verify(path, name)
    assert report.same, report.differences
    with verify_servers.open(name, "r") as domain:
        assert domain[h5pyd.Reference(domain["a/data"])].name == "/a/data"
        assert domain[domain["a"].attrs["target"]].name == "/a/data"
    assert main([str(path), "/home/admin/none.h5"]) == 2


def test_values_that_hsload_cannot_read_are_written(verify_servers, hsds, tmp_path, monkeypatch):
    path = tmp_path / "values.h5"
    with h5py.File(path, "w") as file:
        kind = h5py.h5t.create(h5py.h5t.OPAQUE, 5)
        kind.set_tag(b"a tag")
        low_level(file, "opaque", kind, bytes(range(250)) * 2)
        low_level(file, "bits", h5py.h5t.STD_B16BE.copy(), bytes(range(200)) * 9)
        data = np.arange(40 * 50, dtype=">i4").reshape(40, 50)
        file.create_dataset("chunked", data=data, chunks=(7, 11), compression="lzf")
        file["scalar"], file["text"] = 2.5, np.array([b"ab", b"c"])
        gaps = np.dtype({"names": ["a", "b"], "formats": ["i1", ">f8"], "offsets": [0, 8], "itemsize": 24})
        file["records"] = np.array([(1, 2.5), (3, np.nan)], gaps)
    name = "/home/admin/values.h5"
    for key, value in verify_servers.env().items():
        monkeypatch.setenv(key, value)
    with verify_servers.open(name, "w") as domain:
        load_file(h5py.File(path), domain, dataload=None, ignorefilters=True, compression="gzip", compression_opts=1)
    assert not verify_servers.verify(path, name).same
    assert main(["--values", str(path), name]) == 0
    report = verify_servers.verify(path, name)
    assert report.same, report.differences


def test_text_of_variable_length_is_not_written_as_bytes(verify_servers, tmp_path, monkeypatch, capsys):
    with h5py.File(tmp_path / "text.h5", "w") as file:
        file["text"] = ["a", "b"]
    name = verify_servers.load(tmp_path / "text.h5", "ingest")
    for key, value in verify_servers.env().items():
        monkeypatch.setenv(key, value)
    assert main(["--values", str(tmp_path / "text.h5"), name]) == 2
    assert "dataset /text (string of length variable" in capsys.readouterr().err
