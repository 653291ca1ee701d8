"""hsdiff first, then what it leaves out: together they find every mutation, and call a good copy the same."""

from __future__ import annotations

import shutil

import h5py
import hdf5plugin
import numpy as np
import pytest
from h5pyd._apps.hsdiff import diff_file

from bucket_loader.check.job import CheckJob
from bucket_loader.children.tool import Tools
from bucket_loader.config import Config
from bucket_loader.local.servers import HsdsServer, program
from bucket_loader.pod.servers import Servers
from bucket_loader.s3 import Source
from tests.attempts import Verdict, attempt
from tests.copies import BUCKET, PASSWORD, USER
from tests.samples import COLOURS, write_quiet
from tests.servers.verify.test_mutations import (
    attribute,
    copy,
    drop,
    drop_attribute,
    link,
    names,
    put,
    put_member,
    remake,
)

MODES = ("link", "ingest")
# what hsdiff passes: it does not look there, or compares by numpy's ==
UNSEEN = {
    "-0.0 in chunks": ("/data/floats", put("data/floats", (0, 0), -0.0)),
    "-0.0 in contiguous data": ("/data/contiguous", put("data/contiguous", 0, -0.0)),
    "-0.0 in half floats": ("/data/halves", put("data/halves", 0, -0.0)),
    "-0.0 in records": ("/data/records", put_member("data/records", 0, "b", -0.0)),
    "attribute of a scalar": ("/data/scalar@n", attribute("data/scalar", "n", np.int16(4))),
    "attribute of contiguous data": ("/data/contiguous@list", attribute("data/contiguous", "list", np.arange(5))),
    "attribute of small data": ("/data/colours@list", attribute("data/colours", "list", np.array([0, 1, 2, 9]))),
    "wider scalar attribute": ("/data@n", attribute("data", "n", np.float32(1.5))),
    "hard link made a copy": ("/links/deep/hard", copy("links/deep/hard", "data/numbers")),
    "character set": (
        "/data/words",
        remake("data/words", data=[b"x", b"yy"], dtype=h5py.string_dtype(), fillvalue=None),
    ),
}
SEEN = {
    "value in chunks": ("/data/numbers", put("data/numbers", (39, 49), -5)),
    "value in float chunks": ("/data/floats", put("data/floats", (39, 49), np.nextafter(1999.0, 0))),
    "NaN": ("/data/floats", put("data/floats", (20, 20), np.nan)),
    "value of contiguous data": ("/data/contiguous", put("data/contiguous", 999, 2.0)),
    "value of a scalar": ("/data/scalar", put("data/scalar", (), 6)),
    "value of an enum": ("/data/colours", put("data/colours", 0, -3)),
    "value of a record": ("/data/records", put_member("data/records", 1, "a", 9)),
    "text": ("/data/text", put("data/text", 1, b"bE")),
    "word": ("/data/words", put("data/words", 0, b"z")),
    "type": ("/data/numbers", remake("data/numbers", dtype="i4", chunks=(8, 10))),
    "shape": ("/data/numbers", lambda f: f["data/numbers"].resize((41, 50))),
    "maximum shape": ("/data/numbers", remake("data/numbers", maxshape=(80, 50), chunks=(8, 10))),
    "fill value": ("/data/contiguous", remake("data/contiguous", fillvalue=3.0)),
    "enum name": (
        "/data/colours",
        remake("data/colours", dtype=h5py.enum_dtype({**COLOURS, "BLUE": -4, "PINK": -3}, "i2"), fillvalue=0),
    ),
    "group added": ("/new", lambda f: f.create_group("new")),
    "dataset dropped": ("/data/text", drop("data/text")),
    "soft link": ("/soft", link("soft", h5py.SoftLink("/data/floats"))),
    "external link": ("/external", link("external", h5py.ExternalLink("another.h5", "/a"))),
    "attribute too many": ("/type@unit", drop_attribute("type", "unit")),
    "attribute of a dataset too many": ("/data/numbers@list", drop_attribute("data/numbers", "list")),
    "attribute of the root too many": ("/@title", drop_attribute("/", "title")),
    "attribute of a group": ("/data@title", attribute("data", "title", "b")),
    "attribute of chunked data": ("/data/numbers@n", attribute("data/numbers", "n", np.int16(4))),
    "attribute of a named type": ("/type@unit", attribute("type", "unit", "cm")),
}


@pytest.fixture(scope="module")
def quiet_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("quiet") / "quiet.h5"
    write_quiet(path)
    return path


@pytest.fixture(scope="module")
def quiet_domains(verify_servers, quiet_file):
    return {mode: verify_servers.load(quiet_file, mode) for mode in MODES}


@pytest.fixture
def mutant(quiet_file, tmp_path):
    def make(*changes):
        path = shutil.copyfile(quiet_file, tmp_path / "mutant.h5")
        with h5py.File(path, "r+") as file:
            for change in changes:
                change(file)
        return path

    return make


@pytest.fixture
def compared(verify_servers, monkeypatch):
    """The differ's own path: both tools as children, on an object in S3."""
    for name, value in verify_servers.s3.env().items():
        monkeypatch.setenv(name, value)

    def compare(path, domain, **settings):
        verify_servers.s3.client().upload_file(str(path), "src", "compared.h5")
        config = Config(
            src_bucket="src",
            tgt_bucket=BUCKET,
            tgt_folder="/home/admin/",
            inventory_domain="/home/admin/i.h5",
            **{"hsds_endpoint": verify_servers.hsds.endpoint} | settings,
            hs_username=USER,
            hs_password=PASSWORD,
            aws_s3_gateway=verify_servers.s3.endpoint,
            hsload=program("hsload"),
            hsdiff=program("hsdiff"),
        )
        source = Source(config)
        job = CheckJob(config, Servers(config, source), Tools(config, source))
        return attempt(lambda: job.compare("compared.h5", domain, lambda: True))

    return compare


def hsdiff_passes(verify_servers, path, domain, capsys):
    with h5py.File(path) as source, verify_servers.open(domain, "r") as copied:
        differences = diff_file(source, copied)
    return not differences and not capsys.readouterr().out


@pytest.mark.parametrize("mode", MODES)
def test_a_good_copy_is_passed_by_both(compared, quiet_file, quiet_domains, mode):
    judged = compared(quiet_file, quiet_domains[mode])
    assert (judged.verdict, judged.reason) == (Verdict.GOOD, "PASSED by hsdiff and a comparison of the rest")
    alone = {method: compared(quiet_file, quiet_domains[mode], diff_method=method) for method in ("hsdiff", "verify")}
    assert alone["hsdiff"].reason == "PASSED by hsdiff"
    assert alone["verify"].reason == "PASSED by full comparison"


@pytest.mark.long
@pytest.mark.parametrize("mode", MODES)
def test_what_hsdiff_does_not_see_is_found_after_it(verify_servers, compared, mutant, quiet_domains, capsys, mode):
    for name, (path, change) in UNSEEN.items():
        changed = mutant(change)
        assert hsdiff_passes(verify_servers, changed, quiet_domains[mode], capsys), name
        report = verify_servers.verify(changed, quiet_domains[mode], after_hsdiff=True)
        assert names(report, path), f"{name}: {report.summary()}"
    judged = compared(mutant(UNSEEN["-0.0 in chunks"][1]), quiet_domains[mode])
    assert judged.verdict is Verdict.BAD
    assert judged.reason == "/data/floats: value at [0, 0]: source -0.0, domain 0.0 (hsdiff passed it)"


@pytest.mark.long
@pytest.mark.parametrize("mode", MODES)
def test_every_mutation_is_found_by_hsdiff_or_after_it(verify_servers, mutant, quiet_domains, capsys, mode):
    for name, (path, change) in SEEN.items():
        changed = mutant(change)
        passed = hsdiff_passes(verify_servers, changed, quiet_domains[mode], capsys)
        report = verify_servers.verify(changed, quiet_domains[mode], after_hsdiff=passed)
        assert names(report, path), f"{name}: {report.summary()}"


def test_the_row_says_who_decided_what(compared, mutant, quiet_domains):
    judged = compared(mutant(SEEN["value in chunks"][1]), quiet_domains["ingest"])
    assert judged.verdict is Verdict.BAD
    assert judged.reason.startswith("/data/numbers: value at [39, 49]: source -5, domain 1999; hsdiff: values for")
    judged = compared(mutant(SEEN["value in chunks"][1]), quiet_domains["ingest"], diff_method="hsdiff")
    assert judged.reason.startswith("hsdiff: values for")


def test_hsdiff_reads_filters_that_hdf5_does_not_bring_along(verify_servers, compared, tmp_path):
    with h5py.File(tmp_path / "zstd.h5", "w") as file:
        file.create_dataset("data", data=np.arange(2000), chunks=(500,), **hdf5plugin.Zstd())
    with verify_servers.open("/home/admin/zstd.h5", "w") as domain:
        domain.create_dataset("data", data=np.arange(2000), chunks=(2000,), maxshape=(2000,))
    judged = compared(tmp_path / "zstd.h5", "/home/admin/zstd.h5", diff_method="hsdiff")
    assert (judged.verdict, judged.reason) == (Verdict.GOOD, "PASSED by hsdiff")


@pytest.fixture(scope="module")
def cluster_of_1_0(verify_servers, tmp_path_factory):
    root = tmp_path_factory.mktemp("cluster")
    # a chunk that cannot be read is tried 8 times over 13 s by default, and each time again by its client
    settings, users = {"dn_max_retries": 1}, {USER: PASSWORD}
    with HsdsServer(root, verify_servers.s3, BUCKET, users, settings=settings, version="1.0.2") as server:
        yield server.endpoint


@pytest.mark.long
def test_what_the_clusters_server_cannot_read_is_not_verified(verify_servers, compared, cluster_of_1_0, tmp_path):
    """HSDS 0.9 gives a dataset of small chunks larger ones, and 1.0 takes them for those of the file."""
    with h5py.File(tmp_path / "small_chunks.h5", "w") as file:
        file["alone"] = np.arange(10)
        file.create_dataset("small/chunks", data=np.arange(100_000), chunks=(100,))
    domain = verify_servers.load(tmp_path / "small_chunks.h5", "ingest")
    at = {"hsds_endpoint": cluster_of_1_0, "hsds_local": verify_servers.hsds.endpoint}
    judged = {
        through: compared(tmp_path / "small_chunks.h5", domain, **at, verify_through=through, diff_method="verify")
        for through in ("pod", "both", "cluster")
    }
    assert judged["pod"].verdict is Verdict.GOOD
    for through in ("both", "cluster"):
        assert judged[through].verdict is not Verdict.GOOD and "/small/chunks" in judged[through].reason, judged
    assert judged["both"].reason.startswith(f"through the cluster's HSDS at {cluster_of_1_0}: ")


def test_what_the_clusters_server_reads_is_verified_through_it(verify_servers, compared, cluster_of_1_0, tmp_path):
    with h5py.File(tmp_path / "large_chunks.h5", "w") as file:
        file.create_dataset("large/chunks", data=np.arange(4_000_000), chunks=(500_000,))
    domain = verify_servers.load(tmp_path / "large_chunks.h5", "ingest")
    at = {"hsds_endpoint": cluster_of_1_0, "hsds_local": verify_servers.hsds.endpoint}
    both = compared(tmp_path / "large_chunks.h5", domain, **at)
    words = "PASSED by hsdiff and a comparison of the rest, and by samples through the cluster's HSDS"
    assert (both.verdict, both.reason) == (Verdict.GOOD, words)
    alone = compared(tmp_path / "large_chunks.h5", domain, **at, verify_through="cluster")
    assert (alone.verdict, alone.reason) == (Verdict.GOOD, "PASSED by hsdiff and a comparison of the rest")
