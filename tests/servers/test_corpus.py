"""Public files, edge cases of the format, through the whole path in both modes. `make corpus`: it takes minutes.

Every row must end, in a state that is true: what is verified is compared once more by other means, what failed has a
reason that names what is wrong. The public files are looked for in a folder `shared/corpus` beside the checkout.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import hdf5plugin  # noqa: F401  so that h5py reads the sources
import pytest

from bucket_loader.local.servers import HsdsServer
from bucket_loader.local.survey import Surveyor
from tests.independent import compare_at
from tests.odd_files import write_all
from tests.world import ROOT

CORPUS = ROOT.parent / "shared" / "corpus"
# of the files at the edges: what HSDS cannot hold, or is in other files; and what hsload cannot load beside these
REFUSED = {
    "arrays",
    "many_arrays",
    "external_storage",
    "long_double",
    "nested_sequences",
    "region_references",
    "sequences_of_records",
    "time",
    "virtual_of_others",
}
REFUSED_BY_HSLOAD = REFUSED | {
    "attribute_dot",
    "attribute_question",
    "attribute_slash",
    "may_grow_large",
    "name_hash",
    "name_like_another",
    "name_question",
    "not_utf8",
}
pytestmark = [
    pytest.mark.corpus,
    pytest.mark.timeout(3600),
]


@pytest.fixture
def surveyor(pytestconfig: pytest.Config) -> Iterator[Surveyor]:
    """`make corpus ENGINE=… HSDS=…` chooses what loads, and the cluster's HSDS."""
    engine = pytestconfig.getoption("--engine") or "auto"
    versions = (pytestconfig.getoption("--cluster-hsds"), pytestconfig.getoption("--pod-hsds"))
    with Surveyor.started(*versions, engine) as started:
        yield started


def again(path: Path, domain: str, server: HsdsServer, password: str) -> None:
    compare_at(path.read_bytes(), domain, server.endpoint, password)


@pytest.mark.skipif(not CORPUS.is_dir(), reason=f"there is no {CORPUS}: the public files are not here")
@pytest.mark.parametrize("wanted", ["link", "ingest"])
def test_every_public_file_ends_in_a_state_that_is_true(wanted: str, surveyor: Surveyor) -> None:
    paths = {path.name: path for path in sorted(CORPUS.iterdir()) if path.suffix in (".h5", ".hdf5")}
    found = surveyor.survey(paths, wanted == "link", 900, inspect=again)
    assert [item.name for item in found] == sorted(paths, key=str.lower)
    for item in found:
        print(f"{wanted}\t{item.state}\t{item.name}\t{item.engine}\t{item.mode}\t{item.reason}")
        assert item.state in ("verified", "load failed"), "what cannot be loaded is known before the check"
        assert item.reason and "Traceback" not in item.reason
    print(f"{wanted}: {Counter(item.state for item in found)}")
    assert sum(item.is_verified for item in found) >= 90, "fewer than were seen to load"


@pytest.mark.parametrize("wanted", ["link", "ingest"])
def test_every_file_at_the_edge_of_the_format_ends_in_a_state_that_is_true(
    tmp_path: Path, wanted: str, surveyor: Surveyor, pytestconfig: pytest.Config
) -> None:
    write_all(tmp_path)
    paths = {path.name: path for path in sorted(tmp_path.iterdir())}
    found = surveyor.survey(paths, wanted == "link", 300, inspect=again)
    for item in found:
        print(f"{wanted}\t{item.state}\t{item.name}\t{item.engine}\t{item.mode}\t{item.reason}")
        assert item.state in ("verified", "load failed") and item.reason and "Traceback" not in item.reason
    failed = {Path(item.name).stem for item in found if not item.is_verified}
    by_hsload = pytestconfig.getoption("--engine") == "hsload"
    assert failed == (REFUSED_BY_HSLOAD if by_hsload else REFUSED)
