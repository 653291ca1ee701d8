"""HDF5 types in one normal form, whichever side they come from.

A normal form is a small JSON-like dict with "class" and what belongs to that class:

    {"class": "integer", "size": 4, "signed": True, "order": "LE"}      (also "bitfield", "float"; "detail" if unusual)
    {"class": "string", "length": 8 | "variable", "charset": "ASCII" | "UTF8", "padding": "NULLTERM" | …}
    {"class": "compound", "size": 9, "members": [{"name": "a", "offset": 0, "type": {…}}, …]}
    {"class": "enum", "base": {…}, "members": {"RED": 0}}
    {"class": "array", "dims": [3], "base": {…}}, {"class": "vlen", "base": {…}}
    {"class": "opaque", "size": 3, "tag": "…"}, {"class": "reference", "to": "object" | "region"}

What h5pyd 0.24 with HSDS 0.9 was seen to lose in every copy, without losing a value, is a note and not a difference
(`Mismatch.note`). It is one only where the domain holds what h5pyd writes by default: a domain that says something
else was changed by somebody, and is different.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np

Type = dict[str, Any]

REFERENCE_BYTES = 48  # HSDS keeps a reference as text: "datasets/" and an id of 38 characters
_ORDERS = {h5py.h5t.ORDER_LE: "LE", h5py.h5t.ORDER_BE: "BE"}
_PADDINGS = {h5py.h5t.STR_NULLTERM: "NULLTERM", h5py.h5t.STR_NULLPAD: "NULLPAD", h5py.h5t.STR_SPACEPAD: "SPACEPAD"}
# (exponent position, exponent size, mantissa position, mantissa size, bias) of the IEEE formats, by size in bytes
_IEEE = {2: (10, 5, 0, 10, 15), 4: (23, 8, 0, 23, 127), 8: (52, 11, 0, 52, 1023)}


class UnknownType(ValueError):
    """A type that has no normal form."""


@dataclass(frozen=True)
class Mismatch:
    """One property in which two types differ; `note` when it is one of the losses that cost no value."""

    what: str
    source: object
    domain: object
    note: bool = False


def from_hdf5(tid: h5py.h5t.TypeID) -> Type:
    """The normal form of a type in an HDF5 file."""
    kind = tid.get_class()
    if kind in (h5py.h5t.INTEGER, h5py.h5t.BITFIELD):
        form: Type = {"class": "bitfield", "size": tid.get_size(), "order": _ORDERS.get(tid.get_order(), "?")}
        if kind == h5py.h5t.INTEGER:
            form |= {"class": "integer", "signed": tid.get_sign() != h5py.h5t.SGN_NONE}
            if (tid.get_precision(), tid.get_offset()) != (8 * tid.get_size(), 0):
                form["detail"] = f"{tid.get_precision()} bits at bit {tid.get_offset()}"
        return form
    if kind == h5py.h5t.FLOAT:
        form = {"class": "float", "size": tid.get_size(), "order": _ORDERS.get(tid.get_order(), "?")}
        fields = (*tid.get_fields()[1:], tid.get_ebias())
        if fields != _IEEE.get(tid.get_size()):
            form["detail"] = f"fields {fields}"
        return form
    if kind == h5py.h5t.STRING:
        charset = "UTF8" if tid.get_cset() == h5py.h5t.CSET_UTF8 else "ASCII"
        length = "variable" if tid.is_variable_str() else tid.get_size()
        return {"class": "string", "length": length, "charset": charset, "padding": _PADDINGS[tid.get_strpad()]}
    if kind == h5py.h5t.COMPOUND:
        members = [
            {
                "name": _text(tid.get_member_name(i)),
                "offset": tid.get_member_offset(i),
                "type": from_hdf5(tid.get_member_type(i)),
            }
            for i in range(tid.get_nmembers())
        ]
        return {"class": "compound", "size": tid.get_size(), "members": members}
    if kind == getattr(h5py.h5t, "COMPLEX", None):
        # HDF5 2.0's own; of the same bytes as the compound that h5py made of complex numbers before
        part = from_hdf5(tid.get_super())
        members = [{"name": name, "offset": at * part["size"], "type": part} for at, name in enumerate("ri")]
        return {"class": "compound", "size": tid.get_size(), "members": members}
    if kind == h5py.h5t.ENUM:
        names = {_text(tid.get_member_name(i)): tid.get_member_value(i) for i in range(tid.get_nmembers())}
        return {"class": "enum", "base": from_hdf5(tid.get_super()), "members": names}
    if kind == h5py.h5t.ARRAY:
        return {"class": "array", "dims": list(tid.get_array_dims()), "base": from_hdf5(tid.get_super())}
    if kind == h5py.h5t.VLEN:
        return {"class": "vlen", "base": from_hdf5(tid.get_super())}
    if kind == h5py.h5t.OPAQUE:
        return {"class": "opaque", "size": tid.get_size(), "tag": _text(tid.get_tag())}
    if kind == h5py.h5t.REFERENCE:
        return {"class": "reference", "to": "object" if tid.equal(h5py.h5t.STD_REF_OBJ) else "region"}
    return {"class": f"class {kind}", "size": tid.get_size()}


def from_json(item: Any) -> Type:
    """The normal form of a type as HSDS tells it. Raises `UnknownType`."""
    try:
        return _from_json(item)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UnknownType(f"the domain's type {item!r} is not understood ({error!r})") from error


def _from_json(item: Any) -> Type:
    if isinstance(item, str):
        kind = "float" if item.startswith("H5T_IEEE_F") else "integer"
        order = item[-2:] if item[-2:] in ("LE", "BE") else "LE"  # h5pyd writes the base of a vlen without one
        bits = int(item.removesuffix(order).rsplit("_", 1)[1][1:])
        form: Type = {"class": kind, "size": bits // 8, "order": order}
        if kind == "integer":
            form["signed"] = "_STD_I" in item
        return form
    kind = item["class"]
    if kind in ("H5T_INTEGER", "H5T_FLOAT"):
        return _from_json(item["base"])
    if kind == "H5T_STRING":
        length = "variable" if item["length"] == "H5T_VARIABLE" else int(item["length"])
        charset = item["charSet"].removeprefix("H5T_CSET_")
        return {
            "class": "string",
            "length": length,
            "charset": charset,
            "padding": item.get("strPad", "H5T_STR_NULLPAD").removeprefix("H5T_STR_"),
        }
    if kind == "H5T_COMPOUND":
        members, offset = [], 0
        for member in item["fields"]:
            inner = _from_json(member["type"])
            members.append({"name": member["name"], "offset": offset, "type": inner})
            offset += 0 if is_variable(inner) else wire_dtype(inner).itemsize
        return {"class": "compound", "size": offset, "members": members}
    if kind == "H5T_ENUM":
        return {"class": "enum", "base": _from_json(item["base"]), "members": dict(item["mapping"])}
    if kind == "H5T_ARRAY":
        dims = [item["dims"]] if isinstance(item["dims"], int) else list(item["dims"])
        return {"class": "array", "dims": dims, "base": _from_json(item["base"])}
    if kind == "H5T_VLEN":
        return {"class": "vlen", "base": _from_json(item["base"])}
    if kind == "H5T_OPAQUE":
        return {"class": "opaque", "size": int(item["size"]), "tag": item.get("tag", "")}
    if kind == "H5T_REFERENCE":
        to = "object" if item["base"] == "H5T_STD_REF_OBJ" else "region"
        return {"class": "reference", "to": to, "length": int(item.get("length", REFERENCE_BYTES))}
    raise KeyError(kind)


def _text(raw: bytes | str) -> str:
    return raw.decode("utf-8", "surrogateescape") if isinstance(raw, bytes) else raw


def parts(form: Type) -> list[Type]:
    """The types directly inside a type."""
    if form["class"] == "compound":
        return [member["type"] for member in form["members"]]
    return [form["base"]] if "base" in form else []


def is_variable(form: Type) -> bool:
    """Whether elements of this type differ in size."""
    if form["class"] == "vlen" or form.get("length") == "variable":
        return True
    return any(is_variable(part) for part in parts(form))


def is_plain(form: Type) -> bool:
    """Whether an element is a run of bytes that numpy can look at as stored: no pointers, no unusual numbers."""
    if form["class"] in ("vlen", "reference") or form["class"].startswith("class") or form.get("length") == "variable":
        return False
    if "detail" in form or form.get("order") == "?":
        return False
    return all(is_plain(part) for part in parts(form))


def has_reference(form: Type) -> bool:
    return form["class"] == "reference" or any(has_reference(part) for part in parts(form))


def wire_dtype(form: Type) -> np.dtype[Any]:
    """How numpy sees one element: as stored in the file, or as HSDS sends it. What varies in size is an object."""
    kind = form["class"]
    if kind in ("vlen",) or form.get("length") == "variable":
        return np.dtype(object)
    if kind in ("integer", "bitfield", "float"):
        letter = {"float": "f", "bitfield": "u"}.get(kind) or ("i" if form["signed"] else "u")
        return np.dtype(f"{'>' if form['order'] == 'BE' else '<'}{letter}{form['size']}")
    if kind == "string":
        return np.dtype(f"S{form['length']}")
    if kind == "opaque":
        return np.dtype(f"V{form['size']}")
    if kind == "enum":
        return wire_dtype(form["base"])
    if kind == "array":
        return np.dtype((wire_dtype(form["base"]), tuple(form["dims"])))
    if kind == "reference":
        return np.dtype(f"S{form.get('length', REFERENCE_BYTES)}")
    if kind == "compound":
        names = [member["name"] for member in form["members"]]
        formats = [wire_dtype(member["type"]) for member in form["members"]]
        if is_variable(form) or has_reference(form):  # a reference is longer in a domain than in a file
            return np.dtype({"names": names, "formats": formats})
        offsets = [member["offset"] for member in form["members"]]
        return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": form["size"]})
    raise UnknownType(f"type {form} cannot be held by numpy")


def describe(form: Type) -> str:
    """A type on one line."""
    kind = form["class"]
    if kind in ("integer", "float", "bitfield"):
        name = "unsigned integer" if kind == "integer" and not form["signed"] else kind
        return f"{name} of {8 * form['size']} bits {form['order']}" + (
            f" ({form['detail']})" if "detail" in form else ""
        )
    if kind == "string":
        return f"string of length {form['length']} {form['charset']} {form['padding']}"
    if kind == "compound":
        return "compound {" + ", ".join(f"{m['name']}: {describe(m['type'])}" for m in form["members"]) + "}"
    if kind == "enum":
        return f"enum of {describe(form['base'])} {form['members']}"
    if kind == "array":
        return f"array {form['dims']} of {describe(form['base'])}"
    if kind == "vlen":
        return f"variable-length {describe(form['base'])}"
    if kind == "opaque":
        return f"opaque of {form['size']} bytes, tag {form['tag']!r}"
    return f"{form['to']} reference" if kind == "reference" else kind


def compare_types(source: Type, domain: Type, *, scalar_attribute: bool = False, where: str = "type") -> list[Mismatch]:
    """All mismatches of two types.

    `scalar_attribute`: h5pyd turns the value of a scalar attribute into a numpy scalar, which has the machine's byte
    order and, for a fixed string, the length of the text.
    """
    kind = source["class"]
    loose = scalar_attribute
    if kind == "bitfield" and domain["class"] == "integer" and not domain["signed"]:
        # HSDS has no bit fields: h5py hands the bits over as an unsigned number
        found = [Mismatch(f"{where} class", describe(source), describe(domain), note=True)]
        return found + _number(source, domain, loose, where)
    if kind != domain["class"]:
        return [Mismatch(where, describe(source), describe(domain))]
    if kind in ("integer", "float", "bitfield"):
        if source.get("signed") != domain.get("signed"):
            return [Mismatch(where, describe(source), describe(domain))]
        return _number(source, domain, loose, where)
    if kind == "string":
        return _string(source, domain, loose, where)
    if kind == "opaque":
        if source["size"] != domain["size"]:
            return [Mismatch(f"{where} size", source["size"], domain["size"])]
        if source["tag"] != domain["tag"]:
            return [Mismatch(f"{where} tag", source["tag"], domain["tag"], note=domain["tag"] == "")]
        return []
    if kind == "reference":
        return [] if source["to"] == domain["to"] else [Mismatch(where, describe(source), describe(domain))]
    if kind == "enum":
        found = compare_types(source["base"], domain["base"], scalar_attribute=loose, where=f"{where} base")
        if source["members"] != domain["members"]:
            found.append(Mismatch(f"{where} members", source["members"], domain["members"]))
        return found
    if kind == "array":
        if source["dims"] != domain["dims"]:
            return [Mismatch(f"{where} dimensions", source["dims"], domain["dims"])]
        return compare_types(source["base"], domain["base"], where=f"{where} base")
    if kind == "vlen":
        return compare_types(source["base"], domain["base"], where=f"{where} base")
    if kind == "compound":
        return _compound(source, domain, where)
    return [Mismatch(where, describe(source), describe(domain))]


def _number(source: Type, domain: Type, loose: bool, where: str) -> list[Mismatch]:
    if source["size"] != domain["size"]:
        # a float that is not of IEEE's kinds becomes the next larger one that is
        widened = source["class"] == "float" and "detail" in source and domain["size"] > source["size"]
        return [Mismatch(where, describe(source), describe(domain), note=widened and domain["order"] == "LE")]
    found = []
    if source.get("detail") != domain.get("detail"):
        # JSON types know no precision and no bit offset
        found.append(Mismatch(f"{where} precision", source.get("detail", "all bits"), "all bits", note=True))
    if source["order"] != domain["order"] and source["size"] > 1:
        note = loose and domain["order"] == "LE"
        found.append(Mismatch(f"{where} byte order", source["order"], domain["order"], note))
    return found


def _string(source: Type, domain: Type, loose: bool, where: str) -> list[Mismatch]:
    found = []
    variable = source["length"] == "variable"
    if source["length"] != domain["length"]:
        narrowed = loose and not variable and domain["length"] != "variable" and domain["length"] < source["length"]
        found.append(Mismatch(f"{where} length", source["length"], domain["length"], note=narrowed))
    if source["charset"] != domain["charset"]:
        # h5pyd writes every fixed string as ASCII, and the text of a scalar attribute as UTF-8
        lost = (domain["charset"] == "ASCII" and not variable) or (domain["charset"] == "UTF8" and variable and loose)
        found.append(Mismatch(f"{where} character set", source["charset"], domain["charset"], note=lost))
    if source["padding"] != domain["padding"]:
        default = "NULLTERM" if domain["length"] == "variable" else "NULLPAD"
        lost = domain["padding"] == default
        found.append(Mismatch(f"{where} padding", source["padding"], domain["padding"], note=lost))
    return found


def _compound(source: Type, domain: Type, where: str) -> list[Mismatch]:
    ours, theirs = ([member["name"] for member in form["members"]] for form in (source, domain))
    if ours != theirs:
        return [Mismatch(f"{where} members", ours, theirs)]
    found = []
    for mine, other in zip(source["members"], domain["members"], strict=True):
        found += compare_types(mine["type"], other["type"], where=f"{where} member {mine['name']}")
    if not is_packed(source):
        layout = f"{source['size']} bytes, offsets {[m['offset'] for m in source['members']]}"
        found.append(Mismatch(f"{where} layout", layout, "packed", note=True))
    return found


def is_packed(form: Type) -> bool:
    """Whether a compound's own members follow each other without gaps; True for any other type."""
    if form["class"] != "compound":
        return True
    stored = sum(_stored_size(member["type"]) for member in form["members"])
    return bool(stored == form["size"]) and [m["offset"] for m in form["members"]] == _packed_offsets(form)


def _packed_offsets(form: Type) -> list[int]:
    offsets, end = [], 0
    for member in form["members"]:
        offsets.append(end)
        end += _stored_size(member["type"])
    return offsets


def _stored_size(form: Type) -> int:
    """Bytes of one element in the memory of the HDF5 library (16 for a sequence, 8 for a string's pointer)."""
    kind = form["class"]
    if kind == "vlen":
        return 16
    if kind == "string":
        return 8 if form["length"] == "variable" else int(form["length"])
    if kind == "reference":
        return 8 if form["to"] == "object" else 12
    if kind == "array":
        return int(np.prod(form["dims"])) * _stored_size(form["base"])
    if kind == "enum":
        return _stored_size(form["base"])
    return int(form["size"])
