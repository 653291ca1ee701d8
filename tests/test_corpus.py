"""Public files, edge cases of the format, through the whole path. `make corpus`: it takes minutes.

Every row must end, in a state that is true: what is verified is compared once more by other means, what failed has a
reason. The files are looked for in a folder `shared/corpus` beside the checkout.
"""

from __future__ import annotations

import hdf5plugin  # noqa: F401  so that h5py reads the sources
import pytest

from tests.independent import compare
from tests.world import ROOT, World

CORPUS = ROOT.parent / "shared" / "corpus"
pytestmark = [
    pytest.mark.corpus,
    pytest.mark.timeout(2400),
    pytest.mark.skipif(not CORPUS.is_dir(), reason=f"there is no {CORPUS}: the public files are not here"),
]
FINISHED = {"verified", "load failed", "check failed"}


@pytest.mark.parametrize("mode", ["link", "ingest"])
def test_every_public_file_ends_in_a_state_that_is_true(world: World, mode: str) -> None:
    world.settings = {"link_files": mode == "link", "workers": 2, "max_attempts": 1}
    world.settings |= {"load_time_limit": 90, "diff_time_limit": 90}
    paths = {path.name: path for path in sorted(CORPUS.iterdir()) if path.suffix in (".h5", ".hdf5")}
    for name, path in paths.items():
        world.put(name, path)
    world.ok("make_inventory.py")
    world.ok("watcher.py", "--once")
    world.ok("loader.py", "--drain", timeout=1800)
    world.ok("differ.py", "--drain", timeout=1800)
    rows = world.rows()
    assert set(rows) == set(paths)
    for name, row in rows.items():
        print(f"{mode}\t{row['state']}\t{name}\t{row['loadmode']}\t{row['loadreason'] or row['diffresult']}")
        assert row["state"] in FINISHED, row
        if row["state"] == "load failed":
            assert row["loadreason"] and world.pod.root_of(world.folder + name) is None
        if row["state"] == "check failed":
            assert row["diffresult"]
        if row["state"] == "verified":
            compare(paths[name].read_bytes(), world, name)
    counts = {state: sum(row["state"] == state for row in rows.values()) for state in sorted(FINISHED)}
    print(f"{mode}: {counts}")
    assert counts["verified"] >= 70, "fewer than were seen to load"
