"""Types that hsload writes otherwise, and virtual data that lies in another file: known before a load."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from bucket_loader.load.preflight import preflight

ROWS = 2000


def view(file: h5py.File, source: str, name: str = "view") -> None:
    layout = h5py.VirtualLayout((ROWS,), "i8")
    layout[:] = h5py.VirtualSource(".", source, (ROWS,))
    file.create_virtual_dataset(name, layout)


def through_a_group(file: h5py.File) -> None:
    file["other"] = h5py.ExternalLink("b.h5", "/")
    view(file, "other/view")


def through_a_link(file: h5py.File) -> None:
    file["other"] = h5py.ExternalLink("b.h5", "/x")
    view(file, "/other")


def through_a_soft_link(file: h5py.File) -> None:
    file["g/other"] = h5py.ExternalLink("b.h5", "/x")
    file["g/soft"] = h5py.SoftLink("other")
    view(file, "g/soft")


def within(file: h5py.File) -> None:
    file["g/x"] = np.arange(ROWS)
    file["soft"] = h5py.SoftLink("/g")
    file["loop"] = h5py.SoftLink("loop")
    view(file, "soft/./x")
    view(file, "loop", "of_a_loop")
    view(file, "nothing/there", "of_nothing")


def refused(path: Path, fill: Callable[[h5py.File], None]) -> str:
    with h5py.File(path, "w") as file:
        fill(file)
    with h5py.File(path) as file:
        return preflight(file).load_problem


@pytest.mark.parametrize("fill", [through_a_group, through_a_link, through_a_soft_link])
def test_a_virtual_dataset_whose_source_is_behind_an_external_link_is_refused(
    tmp_path: Path, fill: Callable[[h5py.File], None]
) -> None:
    assert "dataset /view is virtual, with its data in another file" in refused(tmp_path / "a.h5", fill)


def test_a_virtual_dataset_of_its_own_file_is_not_refused(tmp_path: Path) -> None:
    assert refused(tmp_path / "a.h5", within) == ""


@pytest.mark.parametrize("kind", [">c16", ">c8"])
@pytest.mark.parametrize(
    "fill",
    [
        lambda file, kind: file.create_dataset("z", data=np.ones(5, kind)),
        lambda file, kind: file.attrs.create("z", 1j, dtype=kind),
        lambda file, kind: file.create_dataset("z", data=np.ones(5, [("a", "i4"), ("c", kind, (2,))])),
        lambda file, kind: file.__setitem__("z", np.dtype(kind)),
    ],
    ids=["dataset", "attribute", "member", "named type"],
)
def test_complex_numbers_of_big_endian_order_are_refused_by_name(
    tmp_path: Path, fill: Callable[[h5py.File, str], None], kind: str
) -> None:
    words = refused(tmp_path / "a.h5", lambda file: fill(file, kind))
    assert "z" in words and "complex numbers of big-endian order" in words
    assert "big-endian" not in refused(tmp_path / "b.h5", lambda file: fill(file, kind.replace(">", "<")))


def test_a_compound_that_is_no_complex_number_is_not_refused(tmp_path: Path) -> None:
    other = np.dtype([("re", ">f8"), ("im", ">f8")])
    assert refused(tmp_path / "a.h5", lambda file: file.__setitem__("z", np.ones(5, other))) == ""
