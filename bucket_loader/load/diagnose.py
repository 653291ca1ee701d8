"""`python -m bucket_loader.load.diagnose SOURCE`: which object of a file hsload could not load, and why, on one line.

hsload ends with the message of whatever failed, which as a rule names neither the dataset nor the attribute. This does
what hsload does, object by object, until something fails. Nothing is printed when nothing was found.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import h5py
from h5pyd._hl.h5type import getTypeItem

from ..children.answer import Answer
from ..children.answering import answered, child_parser, open_source
from ..hdf5 import types
from ..hdf5.file import Item, attributes, encode, links, objects
from ..hdf5.types import Type
from ..log import clear_line

_ARRAY_OF = (types.Number, types.String, types.Array)


def reasons(file: h5py.File) -> Iterator[str]:
    """Everything in a file that hsload was seen to fail at, in the order in which it comes to it.

    One walk after the other, as hsload does it: to hold all objects open takes memory for each.
    """
    for item in objects(file):
        for name in links(item.id) if item.kind == "group" else ():
            if name != name.encode("utf-8", "replace").decode():
                yield f"link {item.path.rstrip('/')}/{name} has a name that is not UTF-8"
    for item in objects(file):
        if item.kind != "group":
            yield from _typed(
                f"{item.kind} {item.path}", h5py.Dataset if item.kind == "dataset" else h5py.Datatype, item
            )
    for item in objects(file):
        yield from _attributes(item)
    for item in objects(file):
        if item.kind == "group":
            for name, link in links(item.id).items():
                if link[0] == "user-defined":
                    path = f"{item.path.rstrip('/')}/{name}"
                    yield f"link {path} is user-defined (class {link[1]}): HSDS has no such links"
    for item in objects(file):
        if item.kind == "dataset":
            yield from _values(item)


def _typed(name: str, kind: Any, item: Item) -> Iterator[str]:
    form = types.from_hdf5(item.id.get_type() if item.kind == "dataset" else item.id)
    if limit := _limit(form):
        yield f"{name} has {limit}"
        return
    try:
        getTypeItem(kind(item.id).dtype)
    except (OSError, TypeError, ValueError, KeyError, AttributeError) as error:
        yield f"{name} has the type {form}, which h5pyd cannot describe ({error})"


def _limit(form: Type) -> str:
    """What in a type HSDS 0.9 or h5pyd 0.24 cannot hold."""
    if isinstance(form, types.Reference) and form.to == "region":
        return "region references, which HSDS cannot hold"
    if isinstance(form, types.Array):
        if not isinstance(form.base, _ARRAY_OF):
            return f"arrays of {form.base}, which HSDS cannot hold"
        if form.base.is_variable:
            return "arrays of items of variable length, which HSDS cannot take"
    if isinstance(form, types.Sequence):
        if form.base.is_variable:
            return "sequences of items of variable length, which HSDS cannot take"
        if isinstance(form.base, types.Compound):
            return f"sequences of {form.base}, which HSDS cannot hold"
    return next(filter(None, map(_limit, form.parts)), "")


def _attributes(item: Item) -> Iterator[str]:
    high = {"group": h5py.Group, "dataset": h5py.Dataset, "named type": h5py.Datatype}[item.kind](item.id)
    for name, attribute in attributes(item.id):
        where = f"attribute {name} of {item.path}"
        form = types.from_hdf5(attribute.get_type())
        if limit := _limit(form):
            yield f"{where} has {limit}"
        elif "/" in name or name in (".", ".."):
            # h5pyd puts it into the address of its request as it is
            yield f"{where} has a name that hsload cannot write"
        else:
            try:
                high.attrs[encode(name)]
            except (OSError, TypeError, ValueError, KeyError) as error:
                yield f"{where} of the type {form} cannot be read by h5py ({error})"


def _values(item: Item) -> Iterator[str]:
    dataset = h5py.Dataset(item.id)
    form = types.from_hdf5(item.id.get_type())
    if dataset.shape is None or 0 in dataset.shape:
        return
    if isinstance(form, types.Array):
        yield f"dataset {item.path} has an array type ({form}), whose fill value hsload cannot use"
    try:
        dataset[tuple(0 for _ in dataset.shape)]
    except (OSError, TypeError, ValueError) as error:
        yield (f"the values of dataset {item.path} of the type {form} cannot be read by h5py ({error})")


def first_reason(file: h5py.File) -> str:
    """The first of the reasons, and how many more there are; "" when there is none."""
    first, *others = [*dict.fromkeys(reasons(file))] or [""]
    return clear_line(first) + (f" (and {len(others)} more)" if others else "")


def main(arguments: Sequence[str] | None = None) -> int:
    options = child_parser("load.diagnose", "Say which object of a file hsload cannot load, and why.").parse_args(
        arguments
    )

    def find() -> Answer:
        with open_source(options.source) as file:
            return Answer("done", first_reason(file))

    answer = answered(options.answer, find)
    if answer.verdict == "done" and answer.reason and not options.answer:
        print(answer.reason)
    return 0 if answer.verdict == "done" else 2


if __name__ == "__main__":
    sys.exit(main())
