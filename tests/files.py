"""The HDF5 files that the tests load: a kind of content each, and broken ones."""

from __future__ import annotations

import io
from collections.abc import Callable

import h5py
import numpy as np


def _made(fill: Callable[[h5py.File], None]) -> bytes:
    body = io.BytesIO()
    with h5py.File(body, "w") as file:
        fill(file)
    return body.getvalue()


def _chunked(file: h5py.File) -> None:
    file.create_dataset("data", data=np.arange(6000, dtype="i4").reshape(60, 100), chunks=(20, 50))


def _compressed(file: h5py.File) -> None:
    data = np.linspace(0, 1, 6000).reshape(60, 100)
    file.create_dataset("data", data=data, chunks=(20, 50), compression="gzip", shuffle=True)


def _contiguous(file: h5py.File) -> None:
    file["data"] = np.arange(5000, dtype=">f8")


def _scalar(file: h5py.File) -> None:
    file["number"] = 42.5
    file["text"] = np.bytes_(b"hello")
    file["number"].attrs["units"] = "m"


def _empty(file: h5py.File) -> None:
    file.create_group("nothing/in/here")


def _no_elements(file: h5py.File) -> None:
    file.create_dataset("none", shape=(0, 3), maxshape=(None, 3), dtype="i4")


def _nan(file: h5py.File) -> None:
    data = np.linspace(0, 1, 2000)
    data[::7] = np.nan
    file.create_dataset("gaps", data=data, chunks=(500,))


def _fixed_strings(file: h5py.File) -> None:
    file["names"] = np.array([b"alpha", b"be", b""], "S8")
    file["names"].attrs["kind"] = np.bytes_(b"fixed")


def _variable_strings(file: h5py.File) -> None:
    file["names"] = ["Zürich", "北京", "", "plain"]
    file.attrs["title"] = "Übersicht"


def _compound(file: h5py.File) -> None:
    data = np.zeros(1000, [("time", "f8"), ("channel", "i2"), ("name", "S5"), ("place", "f4", (3,))])
    data["time"], data["name"] = np.arange(1000), b"ab"
    file.create_dataset("events", data=data, chunks=(250,))


def _enum(file: h5py.File) -> None:
    kind = h5py.enum_dtype({"RED": 0, "GREEN": 1, "BLUE": 42}, basetype="i2")
    file.create_dataset("colours", data=np.array([0, 1, 42, 1], "i2"), dtype=kind)
    file["flags"] = np.array([True, False, True])


def _references(file: h5py.File) -> None:
    file["a/target"] = np.arange(5)
    refs = file.create_dataset("refs", (2,), dtype=h5py.ref_dtype)
    refs[0], refs[1] = file["a/target"].ref, file["a"].ref


def _dimension_scales(file: h5py.File) -> None:
    file["x"], file["data"] = np.arange(4.0), np.ones((4, 2))
    file["x"].make_scale("x")
    file["data"].dims[0].attach_scale(file["x"])
    file["data"].dims[0].label = "position"


def _links(file: h5py.File) -> None:
    file["real/data"] = np.arange(10)
    file["hard"] = file["real/data"]
    file["soft"] = h5py.SoftLink("/real/data")
    file["dangling"] = h5py.SoftLink("/no/such")
    file["external"] = h5py.ExternalLink("other.h5", "/there")


def _many_objects(file: h5py.File) -> None:
    for number in range(20):
        group = file.create_group(f"group{number:02}")
        group.attrs["number"] = number
        group["value"] = number


GOOD: dict[str, bytes] = {
    f"{fill.__name__.strip('_')}.h5": _made(fill)
    for fill in (
        _chunked,
        _compressed,
        _contiguous,
        _scalar,
        _empty,
        _no_elements,
        _nan,
        _fixed_strings,
        _variable_strings,
        _compound,
        _enum,
        _references,
        _dimension_scales,
        _links,
        _many_objects,
    )
}


def _checksummed(file: h5py.File) -> None:
    file.create_dataset("data", data=np.arange(2000), chunks=(500,), fletcher32=True)


def _lossless_offset(file: h5py.File) -> None:
    file.create_dataset("data", data=np.arange(2000), chunks=(500,), scaleoffset=0)


def _lzf(file: h5py.File) -> None:
    file.create_dataset("data", data=np.arange(2000), chunks=(500,), compression="lzf")


def _unwritten(file: h5py.File) -> None:
    file.create_dataset("data", shape=(1000,), dtype="i4", fillvalue=7)  # contiguous, and nothing is there yet


# a link to these cannot be read back, their data can be copied
UNLINKABLE: dict[str, bytes] = {
    f"{fill.__name__.strip('_')}.h5": _made(fill) for fill in (_checksummed, _lossless_offset, _lzf, _unwritten)
}
_whole = GOOD["compressed.h5"]
BROKEN: dict[str, bytes] = {
    "truncated.h5": _whole[: len(_whole) // 2],
    "not-hdf5.h5": b"these are not the bytes that you look for",
    "zero-bytes.h5": b"",
}
