"""What hsload would write in another way than it is in the file."""

from __future__ import annotations

import h5py

from ..hdf5 import types
from ..hdf5.types import Compound, Float, Type

_NESTING = {h5py.h5t.COMPOUND, h5py.h5t.ARRAY, h5py.h5t.VLEN, getattr(h5py.h5t, "COMPLEX", h5py.h5t.COMPOUND)}


def turned(what: str, kind: h5py.h5t.TypeID) -> str:
    """Why a type is written in another byte order; an empty text when it is not. `what` names what has it."""
    if kind.get_class() not in _NESTING or not _has_turned(types.from_hdf5(kind)):
        return ""
    return f"{what} has complex numbers of big-endian order: hsload would write them little-endian"


def torn(path: str, dataset: h5py.h5d.DatasetID) -> str:
    """Why a dataset's values cannot be copied; an empty text when they can. They are read right through a link.

    hsload writes a complex number that is a member of a compound with its real part twice.
    """
    form = types.from_hdf5(dataset.get_type())
    if any(map(_has_complex, form.parts)):
        outer = type(form).__name__.lower()
        return f"dataset {path} has complex numbers inside of {outer}s, which hsload writes with other values"
    return ""


def _part_of_complex(form: Type) -> Float | None:
    """The type of both parts of a complex number, as h5py knows one; None for any other type."""
    if not isinstance(form, Compound) or [member.name for member in form.members] != ["r", "i"]:
        return None
    real, imaginary = form.parts
    return real if isinstance(real, Float) and real == imaginary else None


def _has_complex(form: Type) -> bool:
    return _part_of_complex(form) is not None or any(map(_has_complex, form.parts))


def _has_turned(form: Type) -> bool:
    part = _part_of_complex(form)
    return (part is not None and part.order == "BE") or any(map(_has_turned, form.parts))
