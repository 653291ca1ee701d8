"""The file that the mutations start from: one object for each thing that HDF5 can say and hsload can load."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

RECORD = np.dtype([("a", "i2"), ("s", "S5"), ("d", ">f8"), ("n", [("x", "f4"), ("y", "u1")]), ("l", "i4", (3,))])
COLOURS = {"RED": 0, "GREEN": 1, "BLUE": -3}
TEXT = h5py.string_dtype()
MIXED = np.dtype([("name", TEXT), ("i", "i4"), ("f", "f8")])


def low_level(group: h5py.Group, name: str, kind: h5py.h5t.TypeID, raw: bytes) -> None:
    """A one-dimensional dataset of a type that numpy does not have, from its bytes."""
    count = len(raw) // kind.get_size()
    space = h5py.h5s.create_simple((count,))
    dataset = h5py.h5d.create(group.id, name.encode(), kind, space)
    dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, np.frombuffer(raw, f"V{kind.get_size()}"), kind)


def fixed(length: int, padding: int = h5py.h5t.STR_NULLTERM, charset: int = h5py.h5t.CSET_ASCII) -> h5py.h5t.TypeID:
    kind = h5py.h5t.C_S1.copy()
    kind.set_size(length)
    kind.set_strpad(padding)
    kind.set_cset(charset)
    return kind


def records(count: int) -> np.ndarray:
    out = np.zeros(count, RECORD)
    out["a"] = np.arange(count)
    out["s"] = [f"r{i % 1000}".encode() for i in range(count)]
    out["d"] = np.arange(count) / 7
    out["d"][1:2] = np.nan
    out["n"]["x"] = np.arange(count) * 0.5
    out["n"]["y"] = np.arange(count) % 200
    out["l"] = np.arange(3 * count).reshape(count, 3)
    return out


def write_base(path: Path) -> None:
    rng = np.random.default_rng(7)
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        data.create_dataset(
            "chunked",
            data=rng.integers(0, 1000, (40, 50), "i4"),
            chunks=(10, 25),
            maxshape=(None, 50),
            compression="gzip",
            shuffle=True,
            fillvalue=-1,
        )
        data.create_dataset("contiguous", data=rng.random(1000))
        data.create_dataset("many_chunks", data=np.arange(2000, dtype="u2").reshape(40, 50), chunks=(8, 10))
        data.create_dataset("scalar", data=np.int64(5))
        data.create_dataset("scalar_text", data="grüße", dtype=TEXT)
        data.create_dataset("no_rows", shape=(0, 3), maxshape=(None, 3), dtype="f4")
        data.create_dataset("null", data=h5py.Empty("f4"))
        data.create_dataset("floats", data=np.array([1.5, np.nan, -0.0, 0.0, np.inf]), fillvalue=np.nan)
        data.create_dataset("halves", data=np.array([1, 2, np.nan], "f2"))
        data.create_dataset("big_endian", data=np.arange(6, dtype=">i4").reshape(2, 3), maxshape=(4, 3), fillvalue=7)
        data.create_dataset("cube", data=np.arange(60, dtype="i8").reshape(3, 4, 5))
        data.create_dataset("flags", data=np.array([True, False, True]))
        data.create_dataset("colours", data=np.array([0, 1, -3, 1], "i2"), dtype=h5py.enum_dtype(COLOURS, "i2"))
        data.create_dataset("complex", data=np.array([1 + 2j, 3 - 4j], "c16"))
        data.create_dataset("opaque", data=np.array([b"abcd", b"\0\1\2\3"], "V4"))
        low_level(data, "bits", h5py.h5t.STD_B16LE.copy(), b"\x01\x80\xff\x0f")
        data.create_dataset("records", data=records(4))
        data.create_dataset("many_records", data=records(600))

        text = file.create_group("text")
        text.create_dataset("fixed", data=np.array([b"alpha", b"be", b""], "S8"))
        text.create_dataset("fixed_utf8", data=np.array(["é".encode(), b"z"], h5py.string_dtype("utf-8", 6)))
        low_level(text, "terminated", fixed(6), b"ab\0\0\0\0cdefg\0")
        low_level(text, "spaces", fixed(6, h5py.h5t.STR_SPACEPAD), b"ab    cd ef ")
        text.create_dataset("variable", data=["one", "zwölf", "", "three"], dtype=TEXT)
        text.create_dataset("variable_ascii", data=[b"x", b"yy"], dtype=h5py.string_dtype("ascii"))
        text.create_dataset("mixed", data=np.array([("a", 1, 0.5), ("bb", 2, np.nan)], MIXED))
        lines = [f"line {i}" for i in range(900)]
        text.create_dataset("lines", data=lines, dtype=TEXT, chunks=(100,))

        more = file.create_group("more")
        ragged = more.create_dataset("ragged", (3,), dtype=h5py.vlen_dtype("i4"))
        ragged[0], ragged[2] = [1, 2, 3], [9]
        floats = more.create_dataset("ragged_floats", (2,), dtype=h5py.vlen_dtype("f8"))
        floats[0], floats[1] = [1.0, np.nan], [2.0]
        more.create_dataset(
            "references", data=[data["cube"].ref, h5py.Reference(), text.ref, file.ref], dtype=h5py.ref_dtype
        )
        pointing = np.zeros(2, [("to", h5py.ref_dtype), ("n", "i4")])
        pointing["to"], pointing["n"] = [data["cube"].ref, text.ref], [1, 2]
        more.create_dataset("pointing", data=pointing)
        more["type"] = RECORD
        more["type"].attrs["unit"] = "m"
        scale = more.create_dataset("scale", data=np.arange(50.0))
        scale.make_scale("x")
        data["chunked"].dims[1].attach_scale(scale)
        data["chunked"].dims[0].label = "time"

        links = file.create_group("links")
        links["hard"] = data["cube"]
        links["group"] = text
        links["other_type"] = more["type"]
        links["soft"] = h5py.SoftLink("/data/cube")
        links["dangling"] = h5py.SoftLink("/no/where")
        links["external"] = h5py.ExternalLink("other.h5", "/a/b")
        loop = links.create_group("loop")
        loop["back"] = links
        for name in ("ünï", " lead", "dots...", "a'b\"c", "tab\tnl\n", "[x]*", "a&b=c"):
            file.create_dataset(f"names/{name}", data=len(name))
        deep = file
        for level in range(4):
            deep = deep.create_group(f"deep{level}")
        deep.attrs["level"] = 4
        for index in range(5):
            file.create_group(f"groups/g{index}")

        attrs = file.create_group("attrs").attrs
        attrs["text"], attrs["empty_text"], attrs["texts"] = "grüße", "", ["a", "", "ccc"]
        attrs["bytes"], attrs["fixed_texts"] = np.bytes_(b"abc"), np.array([b"a", b"bcd"])
        attrs.create("wide", b"abc", dtype="S10")
        attrs["number"], attrs["big"], attrs["third"] = np.int16(3), np.uint64(2**64 - 1), np.float32(1 / 3)
        attrs["floats"] = np.array([1.5, np.nan, -0.0, np.inf])
        attrs["matrix"] = np.arange(6, dtype=">i4").reshape(2, 3)
        attrs["flag"], attrs["flags"] = True, np.array([True, False])
        attrs.create("colours", [0, 1], dtype=h5py.enum_dtype(COLOURS, "i2"))
        attrs["nothing"] = h5py.Empty("i4")
        attrs["no_items"] = np.zeros((0,), "f4")
        attrs["record"], attrs["records"] = records(2)[1], records(3)
        attrs["complex"] = 1 + 2j
        attrs.create("references", [data["cube"].ref, text.ref], dtype=h5py.ref_dtype)
        items = np.empty(2, object)
        items[0], items[1] = np.array([1, 2], "i4"), np.array([], "i4")
        attrs.create("ragged", items, dtype=h5py.vlen_dtype("i4"))
        attrs["a b ü"] = 1
        for index in range(5):
            attrs[f"n{index}"] = index


def write_quiet(path: Path) -> None:
    """A file that hsdiff has nothing to say about: no NaN, no reference, no empty space."""
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        data.create_dataset("numbers", data=np.arange(2000).reshape(40, 50), chunks=(8, 10), maxshape=(None, 50))
        data.create_dataset("floats", data=np.arange(2000.0).reshape(40, 50), chunks=(8, 10), compression="gzip")
        data.create_dataset("halves", data=np.arange(6, dtype="f2"))
        data.create_dataset("contiguous", data=np.arange(1000.0), fillvalue=-1.0)
        data.create_dataset("scalar", data=np.int64(5))
        data.create_dataset("colours", data=np.array([0, 1, -3, 1], "i2"), dtype=h5py.enum_dtype(COLOURS, "i2"))
        data.create_dataset("records", data=np.array([(1, 0.0), (2, 2.5)], [("a", "i4"), ("b", "f8")]))
        data.create_dataset("text", data=np.array([b"alpha", b"be", b""], "S8"))
        data.create_dataset("words", data=[b"x", b"yy"], dtype=h5py.string_dtype("ascii"))
        for name in ("numbers", "contiguous", "scalar", "colours"):
            data[name].attrs["n"], data[name].attrs["list"] = np.int16(3), np.arange(4)
        data.attrs["n"], data.attrs["title"] = 1.5, "a"
        file["type"] = np.dtype([("a", "i4"), ("b", "f8")])
        file["type"].attrs["unit"] = "m"
        file["links/deep/hard"], file["soft"] = data["numbers"], h5py.SoftLink("/data/numbers")
        file["external"] = h5py.ExternalLink("other.h5", "/a")
        file.attrs["title"] = "quiet"
