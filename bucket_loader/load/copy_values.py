"""Values that hsload cannot read: of bit fields and tagged opaque types. Block by block, as bytes."""

from __future__ import annotations

import math
from typing import Any

import h5py
import numpy as np

from ..hdf5 import types
from ..hdf5.file import Dataset, blocks
from ..hsds import Hsds
from ..log import printable
from ..verify import Domain, Trouble
from ..verify.pairs import Objects

_BLOCK_BYTES = 4 << 20
_CHUNKS_PER_BLOCK = 64


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
