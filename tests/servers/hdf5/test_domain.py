"""Faults of the domain: changes made through h5pyd, unreadable objects, wrong servers, and the command."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import h5py
import h5pyd
import numpy as np
import pytest
import requests

from bucket_loader.hdf5 import domain
from bucket_loader.hdf5.domain import TooSlow
from bucket_loader.hsds import Hsds
from bucket_loader.local.servers import free_port
from bucket_loader.verify import Domain, Trouble, selections, verify
from tests.copies import BUCKET, PASSWORD, USER


@pytest.fixture(scope="module")
def small(verify_servers, tmp_path_factory):
    path = tmp_path_factory.mktemp("small") / "small.h5"
    with h5py.File(path, "w") as file:
        for name in ("value", "nan", "rows", "gone", "resized"):
            file.create_dataset(name, data=np.arange(12.0).reshape(4, 3), maxshape=(None, 3))
        file.create_dataset("words", data=["a", "bb"], dtype=h5py.string_dtype())
        file.create_dataset("attributed", data=1)
        for name in ("changed", "dropped", "retyped", "reshaped"):
            file["attributed"].attrs[name] = np.arange(3)
        file["soft"], file["away"] = h5py.SoftLink("/value"), h5py.ExternalLink("f.h5", "/x")
        file["twin"] = file["value"]
        file.create_group("empty")
    return path


@pytest.mark.parametrize("mode", ["link", "ingest"])
def test_changes_of_the_domain_are_found(verify_servers, small, mode):
    name = verify_servers.load(small, mode)
    assert verify_servers.verify(small, name).same
    with verify_servers.open(name, "r+") as copy:
        copy["value"][1, 1] = -1
        copy["nan"][0, 0] = np.nan
        copy["rows"][...] = copy["rows"][...][::-1]
        copy["resized"].resize((5, 3))
        copy["words"][1] = "b"
        del copy["gone"], copy["twin"], copy["soft"], copy["away"], copy["empty"]
        copy["soft"], copy["away"] = h5pyd.SoftLink("/valu"), h5pyd.ExternalLink("f.h5", "/y")
        copy["extra"] = 3
        copy["twin"] = copy["rows"]
        attributes = copy["attributed"].attrs
        attributes["changed"] = np.array([0, 1, 3])
        attributes["retyped"] = np.arange(3.0)
        attributes["reshaped"] = np.arange(3).reshape(3, 1)
        attributes["extra"] = "x"
        del attributes["dropped"]
    report = verify_servers.verify(small, name, limit=100)
    expected = {"/value", "/nan", "/rows", "/resized", "/words", "/gone", "/soft", "/away", "/empty", "/extra", "/twin"}
    expected |= {f"/attributed@{name}" for name in ("changed", "retyped", "reshaped", "extra", "dropped")}
    assert {difference.path for difference in report.differences} == expected


def test_an_object_that_cannot_be_read_is_a_difference(verify_servers, small):
    name = verify_servers.load(small, "ingest")
    with verify_servers.domain(name) as opened:
        lost = {item["title"]: item["id"] for item in opened.links(opened.root()) if "id" in item}
    params = {"domain": name, "bucket": BUCKET}
    for title, kind in (("nan", "datasets"), ("empty", "groups")):
        url = f"{verify_servers.hsds.endpoint}/{kind}/{lost[title]}"
        requests.delete(url, params=params, auth=(USER, PASSWORD), timeout=30).raise_for_status()
    report = verify_servers.verify(small, name)
    assert {difference.path for difference in report.differences} == {"/nan", "/empty"}
    assert all("unreadable" in difference.domain for difference in report.differences)


def test_values_that_hsds_cannot_decode_are_a_difference_and_no_hang(verify_servers, tmp_path):
    path = tmp_path / "filter.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("odd", data=np.arange(1000), chunks=(200,), fletcher32=True)
        file.create_dataset("fine", data=np.arange(1000), chunks=(200,))
    report = verify_servers.verify(path, verify_servers.load(path, "link"))
    assert [difference.path for difference in report.differences] == ["/odd"]
    assert verify_servers.verify(path, verify_servers.load(path, "ingest")).same


def test_many_linked_chunks_are_same_or_named(verify_servers, tmp_path):
    """With numpy 2.4 and later HSDS 0.9.4 cannot read a linked one-dimensional dataset of more than 10 chunks."""
    path = tmp_path / "chunks.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("many", data=np.arange(4000), chunks=(100,))
    report = verify_servers.verify(path, verify_servers.load(path, "link"))
    readable = np.lib.NumpyVersion(np.__version__) < "2.4.0"
    assert report.same is readable
    assert readable or report.differences[0].path == "/many"


def test_a_linked_compound_with_holes_is_different(verify_servers, tmp_path):
    """hsload links the chunks of a compound with padding as if it had none; every value is then wrong."""
    path = tmp_path / "holes.h5"
    with h5py.File(path, "w") as file:
        kind = np.dtype([("a", "i1"), ("b", "f8")], align=True)
        file.create_dataset("holes", data=np.ones(1000, kind), chunks=(250,))
    assert verify_servers.verify(path, verify_servers.load(path, "ingest")).same
    assert verify_servers.verify(path, verify_servers.load(path, "link")).differences[0].path == "/holes"


@pytest.mark.long
def test_pages_of_links_and_attributes_are_all_read(verify_servers, base_file, base_domains, monkeypatch):
    monkeypatch.setattr(domain, "LINKS_PAGE", 2)
    monkeypatch.setattr(domain, "ATTRIBUTES_PAGE", 3)
    report = verify_servers.verify(base_file, base_domains["ingest"])
    assert report.same, report.differences


def test_small_memory_reads_the_same(verify_servers, base_file, base_domains, monkeypatch):
    sizes = []
    read = selections.Reader.compare

    def spy(self, selection):
        if all(s.stop > s.start for s in selection):
            sizes.append(self.element_bytes * int(np.prod([s.stop - s.start for s in selection])))
        return read(self, selection)

    monkeypatch.setattr(selections.Reader, "compare", spy)
    monkeypatch.setattr(selections, "CHUNKS_PER_REQUEST", 3)
    report = verify_servers.verify(base_file, base_domains["ingest"], max_bytes=16 * 1024)
    assert report.same, report.differences
    assert max(sizes) <= 1024


def test_an_element_beyond_the_memory_is_trouble_with_a_name(verify_servers, base_file, base_domains):
    report = verify_servers.verify(base_file, base_domains["ingest"], max_bytes=4)
    assert not report.same and "raise max_bytes" in report.troubles[0]


@pytest.fixture
def asked(monkeypatch) -> list[str]:
    """The requests that are made."""
    paths, request = [], Hsds.request

    def counted(self, method, path, *arguments, **options):
        paths.append(f"{method} {path}")
        return request(self, method, path, *arguments, **options)

    monkeypatch.setattr(Hsds, "request", counted)
    return paths


@pytest.fixture(scope="module")
def many(verify_servers, tmp_path_factory) -> tuple[Path, str]:
    """A file of 203 groups, some nested, with attributes, and its domain."""
    path, name = tmp_path_factory.mktemp("many") / "many.h5", "/home/admin/many-groups.h5"
    with h5py.File(path, "w") as file, verify_servers.open(name, "w") as domain:
        for side in (file, domain):
            inner = side.create_group("an inner % group/ü")
            for number in range(100):
                inner.create_group(f"{number}/below").attrs["number"] = number
    return path, name


@pytest.mark.long
def test_many_objects_are_compared_with_few_requests(verify_servers, many, asked):
    report = verify_servers.verify(*many)
    assert report.same and (report.objects, report.attributes) == (203, 100)
    assert len(asked) < 15, asked


def test_what_differs_among_many_is_found(verify_servers, many):
    path, name = many
    with verify_servers.open(name, "a") as domain:
        below = domain["an inner % group/ü/43/below"]
        below.attrs["number"] = 7
        below.create_group("too much")
        report = verify_servers.verify(path, name)
        below.attrs["number"] = 43
        del below["too much"]
    assert [(d.path, d.what) for d in report.differences] == [
        ("/an inner % group/ü/43/below/too much", "object"),
        ("/an inner % group/ü/43/below@number", "value"),
    ]


@pytest.mark.long
@pytest.mark.parametrize("most", [1 << 10, 16 << 10])
def test_answers_about_many_that_are_too_large_are_asked_for_in_parts(verify_servers, many, most, monkeypatch):
    monkeypatch.setattr("bucket_loader.hdf5.domain._BATCH_BYTES", most)
    assert verify_servers.verify(*many).same


def test_a_server_that_is_too_slow_for_many_is_asked_for_fewer(verify_servers, many, monkeypatch):
    path, name = many
    sizes = []
    with closing(verify_servers.domain(name)) as domain, h5py.File(path) as source:
        ask = domain._at_once

        def slow(batch, paths, part):
            sizes.append(len(batch))
            if len(batch) > 10:
                raise TooSlow("no answer in time")
            return ask(batch, paths, part)

        monkeypatch.setattr(domain, "_at_once", slow)
        assert verify(source, domain).same
    assert sum(size > 10 for size in sizes) <= 4 and max(sizes[-5:]) <= 10


def test_a_missing_domain_a_wrong_login_and_no_server_are_trouble(verify_servers, base_file, base_domains):
    endpoint = verify_servers.hsds.endpoint
    nobody = f"http://localhost:{free_port()}"
    with h5py.File(base_file, "r") as source:
        for made, message in (
            (Domain(Hsds(endpoint, USER, PASSWORD, BUCKET), "/home/admin/none.h5"), "cannot be opened"),
            (Domain(Hsds(endpoint, USER, PASSWORD, BUCKET), "/home/admin"), "folder"),
            (Domain(Hsds(endpoint, USER, "wrong", BUCKET), base_domains["link"]), "refuses"),
            (Domain(Hsds(nobody, USER, PASSWORD, BUCKET, patience=1), base_domains["link"]), "does not answer"),
        ):
            with pytest.raises(Trouble, match=message):
                verify(source, made)
            assert PASSWORD not in repr(made)


def run(verify_servers, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bucket_loader.verify", *arguments]
    return subprocess.run(command, env=verify_servers.env(), capture_output=True, text=True, timeout=60, check=False)


def test_the_command(verify_servers, base_file, base_domains, tmp_path):
    same = run(verify_servers, "s3://src/base.h5", base_domains["ingest"])
    assert (same.returncode, same.stdout.split(":")[0]) == (0, "same"), same.stderr + same.stdout
    assert "note: /text/spaces: type padding: source SPACEPAD, domain NULLPAD" in same.stdout
    assert run(verify_servers, "--strict", "--quiet", str(base_file), base_domains["ingest"]).returncode == 1
    with h5py.File(tmp_path / "other.h5", "w"):
        pass
    different = run(verify_servers, "--limit", "2", str(tmp_path / "other.h5"), base_domains["ingest"])
    assert different.returncode == 1 and "stopped after 2" in different.stdout
    missing = run(verify_servers, "s3://src/missing.h5", base_domains["ingest"])
    assert missing.returncode == 2 and missing.stderr.startswith("trouble: s3://src/missing.h5 cannot be read")
    nowhere = run(verify_servers, str(base_file), "/home/admin/none.h5")
    assert nowhere.returncode == 2 and "404" in nowhere.stderr


def test_a_source_that_h5py_cannot_decode_is_trouble_that_names_the_filter(verify_servers, tmp_path):
    path = tmp_path / "unknown.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("odd", data=np.arange(100), chunks=(10,))
    name = verify_servers.load(path, "ingest")
    with h5py.File(path, "w") as file:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((10,))
        plist.set_filter(32099, h5py.h5z.FLAG_OPTIONAL, ())
        space = h5py.h5s.create_simple((100,))
        made = h5py.h5d.create(file.id, b"odd", h5py.h5t.NATIVE_INT64, space, plist)
        for start in range(0, 100, 10):
            made.write_direct_chunk((start,), b"\0" * 80)
    report = verify_servers.verify(path, name)
    assert not report.same and not report.differences
    assert report.troubles[0].startswith("/odd: ") and "32099, missing here" in report.troubles[0]
