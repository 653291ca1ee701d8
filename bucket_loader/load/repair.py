"""`python -m bucket_loader.load.repair [--values] SOURCE DOMAIN`: write again what hsload spoils and HSDS can hold.

h5py hands over a scalar object reference and a scalar enum as plain values; hsload makes a text and a number of them,
which say no longer what they are. Hard links to the root group it leaves out. With `--values`, all
values are written as well. Exit status 0, or 2 when it could not be done.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

import h5py
import numpy as np

from ..children.answer import Answer
from ..children.answering import answered, child_parser, hsds_of_environment, open_source
from ..hdf5 import types
from ..hdf5.domain import COLLECTIONS
from ..hdf5.file import Dataset, Identifier, attribute_values, attributes, blocks, encode, key_of, links, shape_of
from ..hdf5.types import Enum, Reference, Type
from ..hsds import Hsds
from ..log import printable
from ..storage import datatypes
from ..verify import Domain, Trouble
from ..verify.compare import pair_up
from ..verify.pairs import Objects, Partners

_BLOCK_BYTES = 4 << 20
_CHUNKS_PER_BLOCK = 64


def needs_repair(obj: Identifier) -> Iterator[tuple[str, h5py.h5a.AttrID, Type]]:
    """The attributes of an object that have to be written again: name, id and type."""
    for name, attribute in attributes(obj):
        kind = attribute.get_type()
        code = kind.get_class()
        if code not in (h5py.h5t.ENUM, h5py.h5t.REFERENCE) or shape_of(attribute.get_space()) != ():
            continue
        form = types.from_hdf5(kind)
        if (isinstance(form, Enum) and not _is_bool(form)) or (isinstance(form, Reference) and form.to == "object"):
            yield name, attribute, form


def _is_bool(form: Enum) -> bool:
    """h5py's own bool, for which numpy has a type."""
    return form.base.size == 1 and form.members == {"FALSE": 0, "TRUE": 1}


def written(form: Type, value: Any, pairs: Objects) -> dict[str, Any]:
    """The body of the request that makes such an attribute."""
    if isinstance(form, Enum):
        return {"type": datatypes.to_json(form), "value": int(value)}
    return {
        "type": {"class": "H5T_REFERENCE", "base": "H5T_STD_REF_OBJ"},
        "value": pairs.reference(value),
    }


def repair(source: h5py.File, domain: Domain, hsds: Hsds, pairs: Objects) -> int:
    """Write every needs_repair attribute and every missing hard link of a domain; returns how many.

    Raises HsdsError or Trouble.
    """
    everyone = list(pairs.by_identity.values())
    groups = [partners for partners in everyone if partners.kind == "group"]
    count = 0
    for batch in domain.batches(groups, "links"):
        for group in batch:
            for name, identity in _missing_links(group, source, domain, pairs):
                path = f"{_url(group)}/links/{quote(name, safe='')}"
                hsds.request("PUT", path, domain.path, json_body={"id": identity})
                count += 1
    for partners in everyone:
        for name, attribute, form in needs_repair(partners.place.open(source)):
            value = attribute_values(attribute, form, ())[0]
            path = f"{_url(partners)}/attributes/{quote(name, safe='')}"
            body = written(form, value, pairs) | {"shape": []}
            hsds.request("PUT", path, domain.path, params={"replace": 1}, json_body=body)
            count += 1
    return count


def _url(partners: Partners) -> str:
    return f"/{COLLECTIONS[partners.identity[0]]}/{partners.identity}"


def _missing_links(group: Partners, source: h5py.File, domain: Domain, pairs: Objects) -> Iterator[tuple[str, str]]:
    """The hard links of a group that the domain does not have: name, and id of what they lead to."""
    obj = group.place.open(source)
    there = {link["title"] for link in domain.links(group.identity)}
    for name, link in links(obj).items():
        if link[0] == "hard" and name not in there:
            found = pairs.by_key.get(key_of(obj, encode(name))[0])
            if found:
                yield name, found.identity


def copy_values(source: h5py.File, domain: Domain, hsds: Hsds, pairs: Objects) -> int:
    """Write the values of every dataset into a domain that hsload made without any; returns how many datasets.

    Raises Trouble for a dataset whose elements are no plain bytes, and HsdsError.
    """
    count = 0
    for partners in list(pairs.by_identity.values()):
        if partners.kind != "dataset":
            continue
        dataset = Dataset(source, partners.place)
        if dataset.shape is None or 0 in dataset.shape:
            continue
        if not dataset.form.is_plain:
            kind = dataset.form
            raise Trouble(
                f"dataset {printable(partners.path)} ({kind}) cannot be written beside bit fields or opaque values"
            )
        item = domain.describe(partners.identity)
        dtype = types.from_json(item["type"]).numpy
        grain = tuple(item.get("layout", {}).get("dims") or dataset.shape)
        elements = max(1, _BLOCK_BYTES // dtype.itemsize)
        selections = blocks(dataset.shape, grain, elements, _CHUNKS_PER_BLOCK) if dataset.shape else [()]
        for selection in selections:
            values = dataset.read(selection)
            params = {"select": "[" + ",".join(f"{s.start}:{s.stop}" for s in selection) + "]"} if selection else {}
            url = f"/datasets/{partners.identity}/value"
            hsds.request("PUT", url, domain.path, params=params, data=_as_sent(values, dtype, dataset.form))
        count += 1
    return count


def _as_sent(values: np.ndarray[Any, Any], dtype: np.dtype[Any], form: types.Type) -> bytes:
    """The elements in HSDS's form: its byte order, and compounds without gaps."""
    base = dtype.subdtype[0] if dtype.subdtype else dtype
    if base.names is None and values.dtype.itemsize != base.itemsize:
        raise Trouble(f"{form} is {base} in the domain, of another size")
    if base.names is not None or values.dtype.kind != "V":
        values = values.astype(base)
    sent = np.ascontiguousarray(values).tobytes()
    expected = dtype.itemsize * (values.size // math.prod(dtype.subdtype[1] if dtype.subdtype else ()))
    if len(sent) != expected:
        raise Trouble(f"{form} takes {expected} bytes in the domain, and {len(sent)} in the file")
    return sent


def main(arguments: Sequence[str] | None = None) -> int:
    parser = child_parser("load.repair", "Write again what hsload spoils and HSDS can hold.")
    parser.add_argument("domain", help="for example /home/me/file.h5, in the HSDS at HS_ENDPOINT")
    parser.add_argument("--values", action="store_true", help="write all values, too")
    options = parser.parse_args(arguments)
    hsds = hsds_of_environment()

    def write() -> Answer:
        with (
            Domain(hsds, options.domain) as domain,
            open_source(options.source) as source,
        ):
            pairs = pair_up(source, domain)
            content = {"written": repair(source, domain, hsds, pairs), "datasets": 0}
            if options.values:
                content["datasets"] = copy_values(source, domain, hsds, pairs)
            return Answer("done", content=content)

    answer = answered(options.answer, write)
    if answer.verdict == "done" and not options.answer:
        print("{written} attributes and links, {datasets} datasets".format(**answer.content))
    return 0 if answer.verdict == "done" else 2


if __name__ == "__main__":
    sys.exit(main())
