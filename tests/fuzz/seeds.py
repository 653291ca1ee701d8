"""The good files that damaged ones are made of: small, one for each way in which HDF5 stores something."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np

from tests.fuzz.structures import Seed, without_times
from tests.odd_files import ODD, TEXT
from tests.samples import RECORD, records
from tests.world import ROOT

CORPUS = ROOT.parent / "shared" / "corpus"
LARGEST = 400_000  # bytes: a flipped bit of a large file is one of its values, as a rule
# of the odd files: those that are here in another form, and one whose values take seconds to compare
_LEFT_OUT = {"sparse", "user_block", "latest", "earliest", "wide", "deep", "tiny_chunks"}
Fill = Callable[[h5py.File], object]


def _groups(file: h5py.File) -> None:
    for number in range(12):
        file.create_group(f"group{number:02}/inner").attrs["number"] = number
    file["twin"], file["soft"] = file["group00"], h5py.SoftLink("/group01/inner")
    file["external"], file["group02/back"] = h5py.ExternalLink("other.h5", "/there"), file["/"]


def _many_links(file: h5py.File) -> None:
    group = file.create_group("dense", track_order=True)
    for number in range(60):
        group[f"name{number:03}"] = h5py.SoftLink(f"/target{number}")


def _attributes(file: h5py.File) -> None:
    group = file.create_group("g", track_order=True)
    for number in range(30):
        group.attrs[f"a{number}"] = np.arange(number)
    group.attrs["text"], group.attrs["texts"] = "Zürich", ["one", "two"]
    group.attrs["reference"] = file["g"].ref
    group.attrs["record"] = records(3)


def _chunk_indexes(file: h5py.File) -> None:
    data = np.arange(120, dtype="i4").reshape(12, 10)
    file.create_dataset("single", data=data, chunks=(12, 10))
    file.create_dataset("fixed", data=data, chunks=(3, 5), compression="gzip", shuffle=True)
    file.create_dataset("growing", data=data, chunks=(3, 5), maxshape=(None, 10))
    file.create_dataset("both", data=data, chunks=(3, 5), maxshape=(None, None), fletcher32=True)
    file.create_dataset("paged", data=np.arange(1500, dtype="u1"), chunks=(1,))
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk((3, 5))
    properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    space = h5py.h5s.create_simple((12, 10))
    h5py.h5d.create(file.id, b"implicit", h5py.h5t.STD_I32LE, space, properties).write(space, space, data)


def _filters(file: h5py.File) -> None:
    data = np.arange(700, dtype="i4")
    for name, options in (
        ("gzip", {"compression": "gzip"}),
        ("lzf", {"compression": "lzf"}),
        ("checksum", {"fletcher32": True}),
        ("offset", {"scaleoffset": 0}),
        ("shuffle", {"shuffle": True}),
    ):
        file.create_dataset(name, data=data, chunks=(100,), **options)


def _variable(file: h5py.File) -> None:
    file["texts"] = [f"text {number}" * (number % 5) for number in range(40)]
    kind = h5py.vlen_dtype(np.dtype("i4"))
    sequences = file.create_dataset("sequences", (20,), dtype=kind)
    for number in range(20):
        sequences[number] = np.arange(number)
    mixed = np.dtype([("t", TEXT), ("n", "i4")])
    file.create_dataset("records", data=np.array([(f"row {i}", i) for i in range(9)], mixed))


def _types(file: h5py.File) -> None:
    file["records"], file["named"] = records(40), RECORD
    file.create_dataset("of_named", shape=(5,), dtype=file["named"])
    file["colours"] = np.array([0, 1, 1], h5py.enum_dtype({"RED": 0, "GREEN": 1}, "i2"))
    file["arrays"] = np.zeros(3, np.dtype(("i4", (3, 2))))
    file["opaque"], file["big"], file["scalar"] = np.array([b"abcd"], "V4"), np.arange(9, dtype=">f8"), 42.5
    file["empty"] = h5py.Empty("f4")


def _references(file: h5py.File) -> None:
    file["a/target"] = np.arange(9)
    file.create_dataset("objects", data=[file["a/target"].ref, file["a"].ref, file.ref], dtype=h5py.ref_dtype)
    regions = np.empty(1, object)
    regions[0] = file["a/target"].regionref[2:5]
    file.create_dataset("regions", data=regions, dtype=h5py.regionref_dtype)


def _linkable(file: h5py.File) -> None:
    file["contiguous"] = np.arange(900, dtype="i4")
    file.create_dataset("chunked", data=np.arange(900.0).reshape(30, 30), chunks=(10, 15))
    file.create_dataset("packed", data=np.arange(900), chunks=(300,), compression="gzip", shuffle=True)
    file["contiguous"].attrs["units"] = "m"


def _virtual(file: h5py.File) -> None:
    file["part"] = np.arange(600)
    layout = h5py.VirtualLayout((2, 600), "i8")
    layout[0] = h5py.VirtualSource(".", "part", (600,))
    layout[1] = h5py.VirtualSource("other.h5", "part", (600,))
    file.create_virtual_dataset("data", layout)


_KINDS = (_groups, _many_links, _attributes, _chunk_indexes, _filters, _variable, _types, _references, _linkable)
_KINDS += (_virtual,)


def made(fill: Fill, **options: Any) -> bytes:
    body = io.BytesIO()
    with h5py.File(body, "w", **options) as file:
        fill(file)
    return without_times(body.getvalue())


def seeds(corpus: bool = True) -> dict[str, Seed]:
    """All seeds by name; the public files only where they lie beside the checkout."""
    bodies = {}
    for fill in _KINDS:
        for version in ("earliest", "latest"):
            bodies[f"{fill.__name__.strip('_')}-{version}"] = made(fill, libver=version)
    bodies["user-block"] = made(_linkable, userblock_size=512)
    for name, (fill, options) in ODD.items():
        if name not in _LEFT_OUT:
            bodies[f"odd-{name.replace('_', '-')}"] = made(fill, **options)
    if corpus and CORPUS.is_dir():
        paths = sorted(path for path in CORPUS.iterdir() if path.suffix in (".h5", ".hdf5"))
        bodies |= {path.name: path.read_bytes() for path in paths if path.stat().st_size <= LARGEST}
    return {name: Seed(name, body) for name, body in bodies.items()}
