"""Properties that hold for every type and shape: without a server for the parts, with one for small whole files."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.unit.verify.test_properties import NUMBERS, QUIET, _has, compounds, filled, leaves, shapes

# no shrinking: each step is a load, and a failure prints the file's types anyway
LOADS = settings(QUIET, max_examples=10, phases=[Phase.generate])


# HSDS takes arrays of numbers and text only, and no fill value (hsload sends one) of a compound in a compound
simple = st.sampled_from([*map(np.dtype, NUMBERS), np.dtype("S7")])
loadable = st.one_of(leaves, compounds(simple))


@pytest.mark.long
@LOADS
@given(st.lists(st.tuples(loadable, shapes, st.booleans(), st.integers(0, 2**32)), min_size=2, max_size=4), st.data())
def test_whole_files(verify_servers, tmp_path_factory, made, data):
    """Random files are same as their copies, in both modes; after one changed element they are not."""
    path = tmp_path_factory.mktemp("whole") / "random.h5"
    with h5py.File(path, "w") as file:
        for index, (kind, shape, chunked, seed) in enumerate(made):
            options = {"chunks": shape, "compression": "gzip"} if chunked and shape else {}
            file.create_dataset(f"d{index}", data=filled(kind, shape, seed), **options)
            if not _has(kind, "V"):
                file[f"d{index}"].attrs["copy"] = filled(kind, shape[:1], seed)
    name = verify_servers.load(path, data.draw(st.sampled_from(["link", "ingest"])))
    report = verify_servers.verify(path, name)
    enough = [d for d in report.differences if "@" not in d.path]
    assert not enough, enough
    with h5py.File(path, "r+") as file:
        target = data.draw(st.sampled_from(sorted(file)))
        dataset = file[target]
        array = dataset[()] if dataset.shape == () else dataset[...]
        raw = np.asarray(array).copy().reshape(-1)
        replacement = filled(raw.dtype, raw.shape, 99)
        if raw.tobytes() == replacement.tobytes():
            return
        dataset[...] = replacement.reshape(dataset.shape)
    changed = verify_servers.verify(path, name)
    assert f"/{target}" in {difference.path for difference in changed.differences}
