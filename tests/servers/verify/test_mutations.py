"""One small change at a time: each must be found, and the report must name the object that was changed.

Most mutations change the source and compare it with the untouched domain, which costs one comparison and no load. The
names in the table are paths of `samples.write_base`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable

import h5py
import numpy as np
import pytest

from bucket_loader.verify import Difference, Report
from tests.samples import COLOURS, RECORD, TEXT, fixed, low_level

Mutation = Callable[[h5py.File], object]
SHIFTED = np.dtype({"names": RECORD.names, "formats": [RECORD[n] for n in RECORD.names], "offsets": [0, 4, 16, 24, 32]})


def put(path: str, index: object, value: object) -> Mutation:
    def change(file: h5py.File) -> None:
        file[path][index] = value

    return change


def put_member(path: str, index: int, name: str, value: object) -> Mutation:
    def change(file: h5py.File) -> None:
        row = file[path][index]
        row[name] = value
        file[path][index] = row

    return change


def put_nested(path: str, index: int, name: str, inner: str, value: object) -> Mutation:
    def change(file: h5py.File) -> None:
        rows = file[path][()]
        rows[name][inner][index] = value
        file[path][...] = rows

    return change


def remake(path: str, **options: object) -> Mutation:
    """The same dataset again, with its values and attributes, but made with other options."""

    def change(file: h5py.File) -> None:
        old = file[path]
        made: dict[str, object] = {"maxshape": old.maxshape, "fillvalue": old.fillvalue} if old.shape else {}
        if "data" not in options and "shape" not in options:
            made["data"] = old[()]
        made |= {"dtype": old.dtype} | options
        attributes = dict(old.attrs)
        del file[path]
        new = file.create_dataset(path, **made)
        for name, value in attributes.items():
            new.attrs[name] = value

    return change


def raw(path: str, kind: h5py.h5t.TypeID, data: bytes) -> Mutation:
    def change(file: h5py.File) -> None:
        group, name = path.rsplit("/", 1)
        del file[path]
        low_level(file[group], name, kind, data)

    return change


def attribute(path: str, name: str, value: object, **options: object) -> Mutation:
    return lambda file: file[path].attrs.create(name, value, **options)


def drop(path: str) -> Mutation:
    return lambda file: file.__delitem__(path)


def drop_attribute(path: str, name: str) -> Mutation:
    return lambda file: file[path].attrs.__delitem__(name)


def link(path: str, value: object) -> Mutation:
    def change(file: h5py.File) -> None:
        if path in file or file.get(path, getlink=True) is not None:
            del file[path]
        file[path] = value

    return change


def copy(path: str, of: str) -> Mutation:
    """Another object with the same content in the place of a link."""

    def change(file: h5py.File) -> None:
        del file[path]
        file.copy(file[of], path)

    return change


def swap_rows(path: str, a: int, b: int) -> Mutation:
    def change(file: h5py.File) -> None:
        rows = file[path][()]
        rows[[a, b]] = rows[[b, a]]
        file[path][...] = rows

    return change


def same_object(path: str, other: str) -> Mutation:
    def change(file: h5py.File) -> None:
        del file[path]
        file[path] = file[other]

    return change


def reference(path: str, index: int, target: str | None) -> Mutation:
    def change(file: h5py.File) -> None:
        file[path][index] = file[target].ref if target else h5py.Reference()

    return change


def retyped(file: h5py.File) -> None:
    del file["more/type"], file["links/other_type"]
    file["more/type"] = np.dtype([("a", "i4"), *RECORD.descr[1:]])
    file["more/type"].attrs["unit"] = "m"
    file["links/other_type"] = file["more/type"]


def detach_scale(file: h5py.File) -> None:
    file["data/chunked"].dims[1].detach_scale(file["more/scale"])


def other_scale(file: h5py.File) -> None:
    scales = file["data/chunked"].attrs["DIMENSION_LIST"]
    scales[1] = np.array([file["data/cube"].ref], h5py.ref_dtype)
    file["data/chunked"].attrs.create("DIMENSION_LIST", scales, dtype=h5py.vlen_dtype(h5py.ref_dtype))


BAR = h5py.h5t.STR_NULLPAD, h5py.h5t.STR_SPACEPAD
VALUES: dict[str, tuple[str, Mutation]] = {
    "one value, chunked": ("/data/chunked", put("data/chunked", (39, 49), -5)),
    "one value, contiguous": ("/data/contiguous", put("data/contiguous", 999, 2.0)),
    "last bit of a float": (
        "/data/contiguous",
        lambda f: put("data/contiguous", 5, np.nextafter(f["data/contiguous"][5], 9))(f),
    ),
    "one value, many chunks": ("/data/many_chunks", put("data/many_chunks", (20, 17), 9)),
    "scalar value": ("/data/scalar", put("data/scalar", (), 6)),
    "scalar text": ("/data/scalar_text", put("data/scalar_text", (), "gruesse")),
    "NaN to a number": ("/data/floats", put("data/floats", 1, 3.0)),
    "number to NaN": ("/data/floats", put("data/floats", 0, np.nan)),
    "-0.0 to 0.0": ("/data/floats", put("data/floats", 2, 0.0)),
    "0.0 to -0.0": ("/data/floats", put("data/floats", 3, -0.0)),
    "inf to -inf": ("/data/floats", put("data/floats", 4, -np.inf)),
    "half float": ("/data/halves", put("data/halves", 2, 0)),
    "big-endian value": ("/data/big_endian", put("data/big_endian", (1, 2), 50)),
    "swapped rows": ("/data/cube", swap_rows("data/cube", 0, 2)),
    "bool": ("/data/flags", put("data/flags", 2, False)),
    "enum value": ("/data/colours", put("data/colours", 0, -3)),
    "complex, imaginary part": ("/data/complex", put("data/complex", 1, 3 + 4j)),
    "opaque byte": ("/data/opaque", put("data/opaque", 1, np.void(b"\0\1\2\4"))),
    "bit field": ("/data/bits", raw("data/bits", h5py.h5t.STD_B16LE.copy(), b"\x01\x80\xff\x1f")),
    "compound member": ("/data/records", put_member("data/records", 2, "a", 99)),
    "compound string": ("/data/records", put_member("data/records", 3, "s", b"zz")),
    "NaN in a compound": ("/data/records", put_member("data/records", 1, "d", 0.0)),
    "nested compound member": ("/data/records", put_nested("data/records", 3, "n", "y", 77)),
    "array in a compound": ("/data/records", put_member("data/records", 0, "l", [0, 1, 3])),
    "one of many records": ("/data/many_records", put_nested("data/many_records", 599, "n", "x", -1)),
    "fixed string": ("/text/fixed", put("text/fixed", 1, b"bE")),
    "fixed string, longer": ("/text/fixed", put("text/fixed", 2, b"x")),
    "fixed UTF-8": ("/text/fixed_utf8", put("text/fixed_utf8", 0, "è".encode())),
    "terminated string": ("/text/terminated", raw("text/terminated", fixed(6), b"ab\0\0\0\0cdefh\0")),
    "space padded string": ("/text/spaces", raw("text/spaces", fixed(6, BAR[1]), b"ab    cd  ef")),
    "variable string": ("/text/variable", put("text/variable", 3, "thre")),
    "variable string emptied": ("/text/variable", put("text/variable", 0, "")),
    "variable ASCII": ("/text/variable_ascii", put("text/variable_ascii", 1, b"yz")),
    "string in a compound": ("/text/mixed", lambda f: put("text/mixed", 1, ("bc", 2, np.nan))(f)),
    "NaN beside a string": ("/text/mixed", lambda f: put("text/mixed", 1, ("bb", 2, 1.0))(f)),
    "a line of many": ("/text/lines", put("text/lines", 777, "line 7777")),
    "sequence truncated": ("/more/ragged", put("more/ragged", 0, np.array([1, 2], "i4"))),
    "sequence item": ("/more/ragged", put("more/ragged", 2, np.array([8], "i4"))),
    "sequence filled": ("/more/ragged", put("more/ragged", 1, np.array([0], "i4"))),
    "NaN in a sequence": ("/more/ragged_floats", put("more/ragged_floats", 0, np.array([1.0, 2.0]))),
    "reference to another object": ("/more/references", reference("more/references", 0, "data/scalar")),
    "reference to null": ("/more/references", reference("more/references", 2, None)),
    "reference in a compound": (
        "/more/pointing",
        lambda f: put_member("more/pointing", 1, "to", f["data/cube"].ref)(f),
    ),
    "number beside a reference": ("/more/pointing", put_member("more/pointing", 0, "n", 7)),
    "null reference set": ("/more/references", reference("more/references", 1, "data/cube")),
}
TYPES: dict[str, tuple[str, Mutation]] = {
    "wider integer": ("/data/many_chunks", remake("data/many_chunks", dtype="u4", chunks=(8, 10))),
    "signed": ("/data/many_chunks", remake("data/many_chunks", dtype="i2", chunks=(8, 10))),
    "integer to float": ("/data/many_chunks", remake("data/many_chunks", dtype="f8", chunks=(8, 10))),
    "byte order": ("/data/big_endian", remake("data/big_endian", dtype="<i4")),
    "bool to integer": ("/data/flags", remake("data/flags", dtype="i1")),
    "enum without its names": ("/data/colours", remake("data/colours", dtype="i2", fillvalue=0)),
    "enum name": (
        "/data/colours",
        remake("data/colours", dtype=h5py.enum_dtype({"RED": 0, "GREEN": 1, "BLAU": -3}, "i2"), fillvalue=0),
    ),
    "enum with one more": (
        "/data/colours",
        remake("data/colours", dtype=h5py.enum_dtype(COLOURS | {"PINK": 9}, "i2"), fillvalue=0),
    ),
    "opaque size": (
        "/data/opaque",
        remake("data/opaque", data=np.array([b"abcde"] * 2, "V5"), dtype="V5", fillvalue=None),
    ),
    "string length": ("/text/fixed", remake("text/fixed", dtype="S9", fillvalue=None)),
    "variable to fixed": (
        "/text/variable_ascii",
        remake("text/variable_ascii", data=np.array([b"x", b"yy"]), dtype="S2", fillvalue=None),
    ),
    "character set": ("/text/variable_ascii", remake("text/variable_ascii", dtype=TEXT, fillvalue=None)),
    "member renamed": (
        "/data/records",
        lambda f: remake(
            "data/records",
            data=f["data/records"][()].astype(np.dtype([("b", "i2"), *RECORD.descr[1:]])),
            dtype=None,
            fillvalue=None,
        )(f),
    ),
    "members in another order": (
        "/data/records",
        remake(
            "data/records", data=np.zeros(4, [RECORD.descr[i] for i in (1, 0, 2, 3, 4)]), dtype=None, fillvalue=None
        ),
    ),
    "sequence of another type": (
        "/more/ragged",
        lambda f: remake("more/ragged", data=None, shape=(3,), dtype=h5py.vlen_dtype("i8"), fillvalue=None)(f),
    ),
    "named type": ("/links/other_type", retyped),
    "shape": ("/data/complex", remake("data/complex", data=np.array([1 + 2j]), maxshape=(1,))),
    "rank": ("/data/big_endian", remake("data/big_endian", data=np.arange(6), maxshape=(6,))),
    "scalar to one element": ("/data/scalar", remake("data/scalar", data=np.array([5]), maxshape=(1,))),
    "null to scalar": ("/data/null", remake("data/null", data=np.float32(0))),
    "scalar to null": ("/data/scalar", remake("data/scalar", data=h5py.Empty("i8"))),
    "more rows": ("/data/chunked", lambda f: f["data/chunked"].resize((41, 50))),
    "rows where none were": ("/data/no_rows", lambda f: f["data/no_rows"].resize((1, 3))),
    "maximum shape": ("/data/big_endian", remake("data/big_endian", maxshape=(5, 3))),
    "maximum shape unlimited": ("/data/big_endian", remake("data/big_endian", maxshape=(None, 3))),
    "maximum shape limited": ("/data/no_rows", remake("data/no_rows", shape=(0, 3), maxshape=(9, 3))),
    "fill value": ("/data/big_endian", remake("data/big_endian", fillvalue=8)),
    "fill value NaN to a number": ("/data/floats", remake("data/floats", fillvalue=1.0)),
    "fill value where none was": ("/data/contiguous", remake("data/contiguous", fillvalue=3.0)),
}
TREE: dict[str, tuple[str, Mutation]] = {
    "dataset dropped": ("/data/cube2", lambda f: f["data"].create_dataset("cube2", data=1)),
    "dataset missing in the source": ("/data/opaque", drop("data/opaque")),
    "group added": ("/groups/new", lambda f: f.create_group("groups/new")),
    "group missing in the source": ("/groups/g3", drop("groups/g3")),
    "group to dataset": ("/groups/g2", link("groups/g2", 5)),
    "renamed": ("/names/ lead", lambda f: f.move("names/ lead", "names/lead")),
    "odd name": ("/names/[x]*", lambda f: f.move("names/[x]*", "names/[y]*")),
    "soft link": ("/links/soft", link("links/soft", h5py.SoftLink("/data/scalar"))),
    "dangling soft link": ("/links/dangling", link("links/dangling", h5py.SoftLink("/no/there"))),
    "external file": ("/links/external", link("links/external", h5py.ExternalLink("another.h5", "/a/b"))),
    "external path": ("/links/external", link("links/external", h5py.ExternalLink("other.h5", "/a/c"))),
    "soft to hard link": ("/links/soft", same_object("links/soft", "data/cube")),
    "hard to soft link": ("/links/hard", link("links/hard", h5py.SoftLink("/data/cube"))),
    "soft link dropped": ("/links/soft", drop("links/soft")),
    "soft link added": ("/links/soft2", link("links/soft2", h5py.SoftLink("x"))),
    "hard link made a copy": ("/links/hard", copy("links/hard", "data/cube")),
    "group link made a copy": ("/links/group", copy("links/group", "text")),
    "type link made a copy": ("/more/type", copy("links/other_type", "more/type")),
    "copy made a hard link": ("/groups/g1", same_object("groups/g1", "groups/g0")),
    "hard link to another object": ("/links/hard", same_object("links/hard", "data/flags")),
    "cycle to another group": ("/links/loop/back", same_object("links/loop/back", "groups")),
    "cycle to itself": ("/links/loop/back", same_object("links/loop/back", "links/loop")),
}
ATTRIBUTES: dict[str, tuple[str, Mutation]] = {
    "text": ("/attrs@text", attribute("attrs", "text", "gruesse")),
    "text to empty": ("/attrs@text", attribute("attrs", "text", "")),
    "empty text to text": ("/attrs@empty_text", attribute("attrs", "empty_text", " ")),
    "one of many texts": ("/attrs@texts", attribute("attrs", "texts", ["a", "b", "ccc"])),
    "bytes": ("/attrs@bytes", attribute("attrs", "bytes", np.bytes_(b"abd"))),
    "fixed texts": ("/attrs@fixed_texts", attribute("attrs", "fixed_texts", np.array([b"a", b"bce"]))),
    "number": ("/attrs@number", attribute("attrs", "number", np.int16(4))),
    "big number": ("/attrs@big", attribute("attrs", "big", np.uint64(2**64 - 2))),
    "last bit of a float32": (
        "/attrs@third",
        attribute("attrs", "third", np.nextafter(np.float32(1 / 3), np.float32(1))),
    ),
    "NaN to a number in it": ("/attrs@floats", attribute("attrs", "floats", np.array([1.5, 0.0, -0.0, np.inf]))),
    "number to NaN in it": ("/attrs@floats", attribute("attrs", "floats", np.array([np.nan, np.nan, -0.0, np.inf]))),
    "-0.0 in it": ("/attrs@floats", attribute("attrs", "floats", np.array([1.5, np.nan, 0.0, np.inf]))),
    "matrix value": ("/attrs@matrix", attribute("attrs", "matrix", np.array([[0, 1, 2], [3, 4, 6]], ">i4"))),
    "matrix shape": ("/attrs@matrix", attribute("attrs", "matrix", np.arange(6, dtype=">i4").reshape(3, 2))),
    "matrix byte order": ("/attrs@matrix", attribute("attrs", "matrix", np.arange(6, dtype="<i4").reshape(2, 3))),
    "wider type": ("/attrs@number", attribute("attrs", "number", np.int32(3))),
    "unsigned type": ("/attrs@number", attribute("attrs", "number", np.uint16(3))),
    "number to text": ("/attrs@number", attribute("attrs", "number", "3")),
    "scalar to one element (attribute)": ("/attrs@number", attribute("attrs", "number", np.array([3], "i2"))),
    "bool attribute": ("/attrs@flag", attribute("attrs", "flag", False)),
    "bools": ("/attrs@flags", attribute("attrs", "flags", np.array([True, True]))),
    "enum attribute": ("/attrs@colours", attribute("attrs", "colours", [0, -3], dtype=h5py.enum_dtype(COLOURS, "i2"))),
    "enum attribute's names": (
        "/attrs@colours",
        attribute("attrs", "colours", [0, 1], dtype=h5py.enum_dtype({"A": 0, "B": 1}, "i2")),
    ),
    "null to a value": ("/attrs@nothing", attribute("attrs", "nothing", np.int32(0))),
    "value to null": ("/attrs@number", attribute("attrs", "number", h5py.Empty("i2"))),
    "null of another type": ("/attrs@nothing", attribute("attrs", "nothing", h5py.Empty("f4"))),
    "no items to one": ("/attrs@no_items", attribute("attrs", "no_items", np.zeros(1, "f4"))),
    "compound attribute": ("/attrs@record", lambda f: attribute("attrs", "record", f["data/records"][2])(f)),
    "compound attribute, NaN": (
        "/attrs@records",
        lambda f: attribute("attrs", "records", f["data/records"][()][[0, 2, 2]])(f),
    ),
    "complex attribute": ("/attrs@complex", attribute("attrs", "complex", 1 - 2j)),
    "reference attribute": (
        "/attrs@references",
        lambda f: attribute("attrs", "references", [f["data/cube"].ref, f["data"].ref], dtype=h5py.ref_dtype)(f),
    ),
    "attribute added": ("/attrs@more", attribute("attrs", "more", 1)),
    "attribute dropped": ("/attrs@n3", drop_attribute("attrs", "n3")),
    "attribute of the root added": ("/@x", attribute("/", "x", 1)),
    "attribute of a dataset added": ("/data/cube@x", attribute("data/cube", "x", 1)),
    "attribute of a named type": ("/links/other_type@unit", attribute("more/type", "unit", "cm")),
    "attribute of a deep group": ("/deep0/deep1/deep2/deep3@level", attribute("deep0/deep1/deep2/deep3", "level", 5)),
    "scale's label": ("/data/chunked@DIMENSION_LABELS", lambda f: setattr(f["data/chunked"].dims[0], "label", "t")),
    "scale detached": ("/data/chunked@DIMENSION_LIST", detach_scale),
    "another scale": ("/data/chunked@DIMENSION_LIST", other_scale),
}
NOTES: dict[str, tuple[str, Mutation]] = {
    "padding": ("/text/terminated", raw("text/terminated", fixed(6, BAR[1]), b"ab    cdefg ")),
    "fixed character set": (
        "/text/fixed",
        raw("text/fixed", fixed(8, BAR[0], h5py.h5t.CSET_UTF8), b"alpha\0\0\0be" + b"\0" * 14),
    ),
    "compound layout": (
        "/data/records",
        lambda f: remake("data/records", data=f["data/records"][()].astype(SHIFTED), dtype=None, fillvalue=None)(f),
    ),
    "length of a scalar text": ("/attrs@bytes", attribute("attrs", "bytes", b"abc", dtype="S20")),
    "byte order of a scalar": ("/attrs@number", attribute("attrs", "number", np.array(3, ">i2"))),
}
ALL = {**VALUES, **TYPES, **TREE, **ATTRIBUTES}


def names(report: Report, path: str) -> bool:
    return path in {difference.path for difference in report.differences}


@pytest.fixture
def mutant(base_file, tmp_path):
    def make(change: Mutation):
        path = shutil.copyfile(base_file, tmp_path / "mutant.h5")
        with h5py.File(path, "r+") as file:
            change(file)
        return path

    return make


def test_there_are_many_kinds_of_mutations():
    assert len(ALL) == len(VALUES) + len(TYPES) + len(TREE) + len(ATTRIBUTES) >= 60


def batches(size: int) -> list[list[str]]:
    """The mutations in groups in which no object is touched twice: one comparison finds all of a group."""
    out: list[list[str]] = []
    for name, (path, _) in ALL.items():
        for batch in out:
            if len(batch) < size and not any(related(path, ALL[other][0]) for other in batch):
                batch.append(name)
                break
        else:
            out.append([name])
    return out


def related(a: str, b: str) -> bool:
    """Whether two mutations could hide or cause each other's findings."""
    first, second = sorted((a.replace("/more/type", "/links/other_type"), b.replace("/more/type", "/links/other_type")))
    return first == second or second.startswith((first + "/", first + "@"))


@pytest.mark.parametrize("mode", ["link", "ingest", "direct link", "direct ingest"])
@pytest.mark.parametrize("batch", batches(14), ids=lambda batch: batch[0])
def test_mutations_are_found_and_named(verify_servers, base_domains, mutant, batch, mode):
    def change(file: h5py.File) -> None:
        for name in batch:
            ALL[name][1](file)

    report = verify_servers.verify(mutant(change), base_domains[mode], limit=1000)
    missed = [name for name in batch if not names(report, ALL[name][0])]
    assert not missed, f"{missed} not in " + "; ".join(map(str, report.differences))
    assert not report.troubles
    assert report.summary().startswith("different") and len(report.summary()) <= 200


@pytest.mark.parametrize("name", ["one value, chunked", "-0.0 to 0.0", "soft link", "attribute dropped", "fill value"])
def test_only_what_was_touched_is_blamed(verify_servers, base_domains, mutant, name):
    path, change = ALL[name]
    report = verify_servers.verify(mutant(change), base_domains["link"])
    assert [difference.path for difference in report.differences] == [path]


@pytest.mark.parametrize("name", NOTES)
def test_what_hsds_does_not_hold_is_a_note_and_strictly_a_difference(verify_servers, base_domains, mutant, name):
    path, change = NOTES[name]
    changed = mutant(change)
    report = verify_servers.verify(changed, base_domains["ingest"])
    assert report.same, report.differences
    assert any(note.startswith(path + ": ") for note in report.notes), report.notes
    strict = verify_servers.verify(changed, base_domains["ingest"], strict=True, limit=100)
    assert names(strict, path)


def test_the_report_tells_index_and_both_values(verify_servers, base_domains, mutant):
    changed = mutant(put_nested("data/records", 3, "n", "y", 77))
    report = verify_servers.verify(changed, base_domains["ingest"])
    assert report.differences == [Difference("/data/records", "value", "[3].n.y", "77", "3")]
    assert str(report.differences[0]) == "/data/records: value at [3].n.y: source 77, domain 3"


def test_it_stops_at_the_limit(verify_servers, base_domains, tmp_path):
    with h5py.File(tmp_path / "empty.h5", "w") as file:
        file["only"] = 1
    report = verify_servers.verify(tmp_path / "empty.h5", base_domains["ingest"], limit=3)
    assert len(report.differences) == 3 and report.truncated
