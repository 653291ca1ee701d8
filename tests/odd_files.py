"""Files at the edges of the format, one thing each. `python -m tests.odd_files FOLDER` writes them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tests.samples import fixed, low_level

TEXT = h5py.string_dtype()
Fill = Callable[[h5py.File], object]


def items(*parts: object) -> np.ndarray[Any, Any]:
    out = np.empty(len(parts), object)
    out[:] = parts
    return out


def raw_type(kind: h5py.h5t.TypeID, raw: bytes) -> Fill:
    return lambda file: low_level(file, "data", kind, raw)


def precise(bits: int) -> h5py.h5t.TypeID:
    kind = h5py.h5t.STD_I16LE.copy()
    kind.set_precision(bits)
    return kind


def bfloat16() -> h5py.h5t.TypeID:
    kind = h5py.h5t.IEEE_F32LE.copy()
    kind.set_fields(15, 7, 8, 0, 7)
    kind.set_size(2)
    kind.set_ebias(127)
    return kind


def opaque(size: int, tag: bytes) -> h5py.h5t.TypeID:
    kind = h5py.h5t.create(h5py.h5t.OPAQUE, size)
    kind.set_tag(tag)
    return kind


def virtual(source: str) -> Fill:
    def fill(file: h5py.File) -> None:
        file["part"] = np.arange(2000)
        layout = h5py.VirtualLayout((2000,), "i8")
        layout[:] = h5py.VirtualSource(source, "part", (2000,))
        file.create_virtual_dataset("data", layout)

    return fill


def compact(file: h5py.File) -> None:
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_layout(h5py.h5d.COMPACT)
    space = h5py.h5s.create_simple((1000,))
    h5py.h5d.create(file.id, b"data", h5py.h5t.NATIVE_INT32, space, properties).write(
        h5py.h5s.ALL, h5py.h5s.ALL, np.arange(1000, dtype="i4")
    )


def attributes(values: dict[str, object]) -> Fill:
    def fill(file: h5py.File) -> None:
        owner = file.create_group("g")
        for name, value in values.items():
            owner.attrs[name] = value

    return fill


def dense_attributes(file: h5py.File) -> None:
    group = file.create_group("g", track_order=True)
    for number in range(40):
        group.attrs[f"a{39 - number}"] = np.full(number, number)


def large_attribute(file: h5py.File) -> None:
    file.attrs["large"] = np.arange(20_000.0).reshape(100, 200)


def cycle(file: h5py.File) -> None:
    file["a/b/c"] = file["/"]
    file["a/b/d"] = file["a"]


def deep(file: h5py.File) -> None:
    file["/".join(f"level{number}" for number in range(40)) + "/data"] = 1


def wide(file: h5py.File) -> None:
    for number in range(300):
        file[f"wide/{number:05}"] = h5py.SoftLink(f"/target{number}")


def names(file: h5py.File) -> None:
    for name in (
        "größe",
        "温度",
        "a b",
        "it's",
        'say "x"',
        "..",
        "...x",
        "x.",
        "50%",
        "a:b",
        "a;b&c=d",
        "a+b",
        "a\\b",
        " a b ",
        "tab\there",
    ):
        file.create_group(f"n/{name}" if name != ".." else "n/dots..")


def odd_attribute_name(name: str) -> Fill:
    return lambda file: file.attrs.create(name, 1)


def not_utf8(file: h5py.File) -> None:
    h5py.h5g.create(file.id, b"caf\xe9")


def region_references(file: h5py.File) -> None:
    file["target"] = np.arange(10)
    file.create_dataset("data", data=items(file["target"].regionref[2:5]), dtype=h5py.regionref_dtype)


def reference_members(file: h5py.File) -> None:
    file["target"] = np.arange(3)
    kind = np.dtype([("r", h5py.ref_dtype), ("n", "i4")])
    data = np.zeros(2, kind)
    data["r"] = [file["target"].ref, file.ref]
    file.create_dataset("data", data=data)


def many_references(file: h5py.File) -> None:
    file["target"] = np.arange(3)
    file.create_dataset("data", data=np.array([file["target"].ref] * 700, h5py.ref_dtype), chunks=(100,))


def sequences(base: object, count: int = 3) -> Fill:
    def fill(file: h5py.File) -> None:
        data = file.create_dataset("data", (count,), dtype=h5py.vlen_dtype(np.dtype(base)))
        for index in range(count):
            data[index] = np.zeros(index % 4, base)

    return fill


def nested_sequences(file: h5py.File) -> None:
    kind = h5py.h5t.vlen_create(h5py.h5t.vlen_create(h5py.h5t.STD_I32LE))
    h5py.h5d.create(file.id, b"data", kind, h5py.h5s.create_simple((2,)))


def text_records(count: int) -> Fill:
    def fill(file: h5py.File) -> None:
        kind = np.dtype([("t", TEXT), ("n", "i4")])
        file.create_dataset("data", data=np.array([(f"row {i}", i) for i in range(count)], kind), chunks=(5,))

    return fill


def gaps(file: h5py.File) -> None:
    kind = np.dtype({"names": ["a", "b"], "formats": ["i1", "f8"], "offsets": [0, 8], "itemsize": 24})
    data = np.zeros(700, kind)
    data["a"], data["b"] = np.arange(700) % 100, np.arange(700)
    file.create_dataset("data", data=data, chunks=(100,))


def user_block(file: h5py.File) -> None:
    file.create_dataset("chunked", data=np.arange(3000), chunks=(100,))
    file.create_dataset("few", data=np.arange(3000), chunks=(1000,), compression="gzip")
    file["contiguous"] = np.arange(3000.0)


def sparse(file: h5py.File) -> None:
    file.create_dataset("some", shape=(300, 1000), dtype="f4", chunks=(1, 1000), fillvalue=7)[5:40:2] = 1
    file.create_dataset("few", shape=(300, 1000), dtype="f4", chunks=(1, 1000), fillvalue=np.nan)[250] = 1
    file.create_dataset("none", shape=(300, 1000), dtype="f4", chunks=(1, 1000), fillvalue=3)
    large = file.create_dataset("large", shape=(64, 1024, 1024), dtype="i4", chunks=(1, 512, 1024), fillvalue=3)
    for plane in range(0, 60, 4):
        large[plane, :3] = plane


def partial_chunks(file: h5py.File) -> None:
    for name, shape, chunk in (
        ("line", (1003,), (10,)),
        ("plane", (51, 73), (7, 9)),
        ("cube", (11, 13, 17), (3, 4, 5)),
    ):
        data = np.arange(np.prod(shape)).reshape(shape)
        file.create_dataset(name, data=data, chunks=chunk, compression="gzip", shuffle=True)


def growing(file: h5py.File) -> None:
    for name, maxshape in (("one", (None, 40)), ("two", (None, None)), ("fixed", (90, 80))):
        file.create_dataset(name, shape=(60, 40), maxshape=maxshape, dtype="i4", chunks=(7, 6))[...] = 5
        file[name].resize((55, 33))


def plain_data(file: h5py.File) -> None:
    growing(file)
    partial_chunks(file)
    file["contiguous"] = np.arange(3000, dtype=">i4")
    file.create_group("g").attrs["a"] = np.arange(3)


def tracked(file: h5py.File) -> None:
    group = file.create_group("g", track_order=True)
    for name in "cab":
        group[name] = 1
        group.attrs[name] = 1


def empty_things(file: h5py.File) -> None:
    file.create_group("a/b/c")
    file.create_dataset("zero", shape=(0,), dtype="f8")
    file.create_dataset("zeros", shape=(3, 0, 4), maxshape=(3, None, 4), dtype="i2")
    file["null"], file.attrs["null"] = h5py.Empty("S5"), h5py.Empty(TEXT)
    file.create_dataset("no_text", shape=(0,), maxshape=(None,), dtype=TEXT)


def named_types(file: h5py.File) -> None:
    file["kind"] = np.dtype([("a", "i4"), ("b", "S3")])
    file.create_dataset("data", shape=(600,), dtype=file["kind"])
    file["data"].attrs.create("of_kind", np.zeros(2, file["kind"].dtype), dtype=file["kind"])


def arrays(shape: tuple[int, ...]) -> Fill:
    return lambda file: file.create_dataset("data", shape=shape, dtype=np.dtype(("i4", (3, 2))))


ODD: dict[str, tuple[Fill, dict[str, Any]]] = {
    "external_storage": (
        lambda f: f.create_dataset("data", shape=(9,), dtype="i4", external=[("raw.bin", 0, 36)]),
        {},
    ),
    "virtual_of_itself": (virtual("."), {}),
    "virtual_of_others": (virtual("other.h5"), {}),
    "compact": (compact, {}),
    "dense_attributes": (dense_attributes, {"libver": "latest"}),
    "large_attribute": (large_attribute, {"libver": "latest"}),
    "user_block": (user_block, {"userblock_size": 1024}),
    "cycle": (cycle, {}),
    "deep": (deep, {}),
    "wide": (wide, {}),
    "names": (names, {}),
    "name_question": (lambda f: f.create_dataset("data?x", data=np.arange(3)), {}),
    "name_hash": (lambda f: f.create_group("#1"), {}),
    "name_like_another": (lambda f: [f.create_group(name) for name in ("a b", "a%20b")], {}),
    "may_grow_large": (lambda f: f.create_dataset("data", (10,), "f8", maxshape=(10**11,), chunks=(1,)), {}),
    "tiny_chunks": (lambda f: f.create_dataset("data", data=np.arange(3000), chunks=(1,)), {}),
    "not_utf8": (not_utf8, {}),
    "attribute_slash": (odd_attribute_name("a/b"), {}),
    "attribute_percent": (odd_attribute_name("50%"), {}),
    "attribute_question": (odd_attribute_name("what?"), {}),
    "attribute_dot": (odd_attribute_name("."), {}),
    "empty_things": (empty_things, {}),
    "growing": (growing, {}),
    "partial_chunks": (partial_chunks, {}),
    "sparse": (sparse, {}),
    "bool": (attributes({"a": True, "b": np.array([True, False])}), {}),
    "complex": (lambda f: f.create_dataset("data", data=np.arange(700) * (1 + 2j), chunks=(100,)), {}),
    "complex_attribute": (attributes({"a": 1 + 2j, "b": np.array([1j, 2])}), {}),
    "half": (lambda f: f.create_dataset("data", data=np.arange(700, dtype="f2")), {}),
    "bfloat16": (raw_type(bfloat16(), bytes(range(200)) * 8), {}),
    "long_double": (lambda f: f.create_dataset("data", data=np.arange(5, dtype="longdouble")), {}),
    "twelve_bits": (raw_type(precise(12), bytes(1400)), {}),
    "time": (raw_type(h5py.h5t.UNIX_D32LE.copy(), bytes(16)), {}),
    "opaque": (raw_type(opaque(5, b"my tag"), b"abcde" * 3), {}),
    "bits": (raw_type(h5py.h5t.STD_B16LE.copy(), bytes(range(200)) * 8), {}),
    "embedded_nul": (lambda f: f.create_dataset("data", data=np.array([b"a\0b", b"\0c", b"d"], "S4")), {}),
    "nul_in_text": (raw_type(fixed(4, h5py.h5t.STR_NULLTERM), b"ab\0cd\0\0\0"), {}),
    "nan_fill": (lambda f: f.create_dataset("data", shape=(700,), dtype="f8", fillvalue=np.nan, chunks=(70,)), {}),
    "record_fill": (
        lambda f: f.create_dataset(
            "data",
            shape=(9,),
            dtype=[("a", "i4"), ("b", "f8")],
            fillvalue=np.array((1, 2.5), [("a", "i4"), ("b", "f8")]),
        ),
        {},
    ),
    "region_references": (region_references, {}),
    "reference_members": (reference_members, {}),
    "many_references": (many_references, {}),
    "sequences": (sequences("i4"), {}),
    "many_sequences": (sequences("f8", 700), {}),
    "sequences_of_records": (sequences([("a", "i4"), ("b", "f8")]), {}),
    "nested_sequences": (nested_sequences, {}),
    "text_records": (text_records(5), {}),
    "many_text_records": (text_records(700), {}),
    "gaps": (gaps, {}),
    "named_types": (named_types, {}),
    "arrays": (arrays((3,)), {}),
    "many_arrays": (arrays((300,)), {}),
    "tracked": (tracked, {"track_order": True}),
    "latest": (plain_data, {"libver": "latest"}),
    "earliest": (plain_data, {"libver": "earliest"}),
    "v110": (plain_data, {"libver": ("v110", "v110")}),
}


def write_all(folder: Path) -> None:
    for name, (fill, options) in ODD.items():
        with h5py.File(folder / f"{name}.h5", "w", **options) as file:
            fill(file)


if __name__ == "__main__":
    write_all(Path(sys.argv[1]))
