"""`python -m tests.fuzz.alike A B [ENDPOINT]`: do two files have the same in them, as a reader of h5py sees it?

With an endpoint, B is a domain there. Status 0, or 1 when they do not, and 2 when one of them cannot be read to its
end. By other code than the program's own, to prove what that says. What HSDS holds of no file is left out: region
references, user-defined links, order, layouts and paddings.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401  so that h5py reads the sources
import numpy as np

from tests.independent import compare_at


def contents(file: h5py.File) -> dict[str, Any]:
    """Links, values and attributes by path."""
    found: dict[str, Any] = {}
    seen: set[Any] = set()

    def walk(group: h5py.Group, path: str) -> None:
        for name in group:
            where, link = f"{path}/{name}", group.get(name, getlink=True)
            if isinstance(link, h5py.SoftLink):
                found[where] = ("soft", link.path)
            elif isinstance(link, h5py.ExternalLink):
                found[where] = ("external", link.filename, link.path)
            else:
                item = group[name]
                found[where] = (type(item).__name__, *values(item))
                attributes(item, where)
                if isinstance(item, h5py.Group) and item.id not in seen:
                    seen.add(item.id)
                    walk(item, where)

    def attributes(item: Any, where: str) -> None:
        for name in item.attrs:
            found[f"{where}@{name}"] = plain(item.attrs[name])

    attributes(file, "")
    walk(file, "")
    return found


def values(item: Any) -> tuple[Any, ...]:
    if not isinstance(item, h5py.Dataset):
        return ()
    if h5py.check_ref_dtype(item.dtype) is h5py.RegionReference:
        return (item.shape, item.maxshape)
    return (item.shape, item.maxshape, None if item.shape is None else plain(item[()]))


def plain(value: Any) -> Any:
    """A value that can be compared: references by the name that they lead to, NaN by its name."""
    if isinstance(value, h5py.Empty):
        return "empty"
    if isinstance(value, np.ndarray):
        return value.shape, [plain(part) for part in value.reshape(-1)]
    if isinstance(value, np.void) and value.dtype.names:
        return [plain(value[name]) for name in value.dtype.names]
    if isinstance(value, h5py.Reference):
        return "reference"
    return repr(value.item() if isinstance(value, np.generic) else value)


def same_as_domain(path: Path, domain: str, endpoint: str) -> bool:
    """The file can be read, and so must be the domain."""
    try:
        compare_at(path.read_bytes(), domain, endpoint, os.environ["HS_PASSWORD"])
    except Exception as error:
        print(" ".join(f"{type(error).__name__}: {error}".split()))
        return False
    return True


def main() -> int:
    one, two, *server = sys.argv[1:]
    try:
        with h5py.File(one, "r") as file:
            left = contents(file)
        if server:
            return int(not same_as_domain(Path(one), two, server[0]))
        with h5py.File(two, "r") as file:
            right = contents(file)
    except Exception as error:
        print(" ".join(f"{type(error).__name__}: {error}".split()))
        return 2
    different = [path for path in {**left, **right} if left.get(path) != right.get(path)]
    for path in different[:5]:
        print(f"{path}: {str(left.get(path))[:200]} and {str(right.get(path))[:200]}")
    return int(bool(different))


if __name__ == "__main__":
    sys.exit(main())
