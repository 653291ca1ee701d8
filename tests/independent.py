"""A comparison of file and domain by other code than the program's own: h5py on one side, h5pyd on the other."""

from __future__ import annotations

import io
from typing import Any

import h5py
import h5pyd
import numpy as np

from tests.world import PASSWORD, USER, World


def compare(body: bytes, world: World, key: str) -> None:
    """Assert that every object of a file is in its domain, and every number of it."""
    compare_at(body, world.folder + key, world.servers.cluster.endpoint, PASSWORD)


def compare_at(body: bytes, key: str, endpoint: str, password: str) -> None:
    """The same for a domain on any server."""
    domain = h5pyd.File(key, "r", endpoint=endpoint, username=USER, password=password)
    with h5py.File(io.BytesIO(body)) as source, domain:

        def look(raw: str | bytes, item: object) -> None:
            name = text(raw)
            assert name in domain, f"{key}: {name} is missing"
            if (
                isinstance(item, h5py.Dataset)
                and item.shape is not None
                and item.size < 1e6
                and item.dtype.kind in "iuf"
            ):
                np.testing.assert_array_equal(read(item), domain[name][...], err_msg=f"{key}: {name}")

        source.visititems(look)
        assert sorted(domain) == sorted(map(text, source))


def text(name: str | bytes) -> str:
    """A name as a domain has it; h5py gives the bytes of one that is not UTF-8."""
    return name if isinstance(name, str) else name.decode("utf-8", "surrogateescape")


def read(dataset: h5py.Dataset) -> np.ndarray[Any, Any]:
    """All values; h5py has no conversion for bit fields, whose bytes are numbers."""
    if dataset.id.get_type().get_class() != h5py.h5t.BITFIELD:
        return np.asarray(dataset[...])
    values = np.empty(dataset.shape, dataset.dtype)
    dataset.id.read(h5py.h5s.ALL, h5py.h5s.ALL, values, dataset.id.get_type())
    return values
