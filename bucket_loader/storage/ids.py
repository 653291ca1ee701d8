"""The ids of HSDS's objects and the keys of the bucket that hold them.

A root is known by 16 hexadecimal digits, which begin the ids of all its objects and name the folder of their keys.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence

_ROOT = re.compile(r"[0-9a-f]{16}")
_FILES = {"g": "group", "d": "dataset", "t": "datatype"}


def new_root() -> str:
    """The digits of a root that nobody has."""
    return secrets.token_hex(8)


def is_root(digits: str) -> bool:
    return bool(_ROOT.fullmatch(digits))


def root_id(digits: str) -> str:
    """The id of a root group: its digits, and each of them plus 8."""
    turned = "".join(f"{(int(digit, 16) + 8) % 16:x}" for digit in digits)
    return f"g-{_folder(digits)}-{turned[:4]}-{turned[4:10]}-{turned[10:]}"


def digits_of(identity: str) -> str:
    """The digits of the root that an object belongs to. Raises ValueError for what is no id."""
    digits = "".join(identity.split("-")[1:3])
    if not is_root(digits):
        raise ValueError(f"{identity!r} is no id of an HSDS object")
    return digits


def new_id(kind: str, root: str) -> str:
    """An id for an object below a root; `kind`: g, d or t, for a group, a dataset or a named type."""
    own = secrets.token_hex(8)
    return f"{kind}-{_folder(root)}-{own[:4]}-{own[4:10]}-{own[10:]}"


def prefix(root: str) -> str:
    """What the keys of all objects below a root begin with."""
    return f"db/{_folder(root)}/"


def object_key(identity: str) -> str:
    """Where the JSON of an object is."""
    kind, first, second, *own = identity.split("-")
    if identity == root_id(first + second):
        return f"db/{first}-{second}/.group.json"
    return f"db/{first}-{second}/{kind}/{'-'.join(own)}/.{_FILES[kind]}.json"


def chunk_key(dataset: str, index: Sequence[int]) -> str:
    """Where a chunk of a dataset is, by its place among the chunks; of a scalar: (0,)."""
    return f"{object_key(dataset).rpartition('/')[0]}/{'_'.join(map(str, index))}"


def info_key(root: str) -> str:
    """Where the sizes of a domain are, which HSDS tells of it."""
    return f"{prefix(root)}.info.json"


def domain_key(domain: str) -> str:
    return f"{domain.strip('/')}/.domain.json"


def _folder(digits: str) -> str:
    return f"{digits[:8]}-{digits[8:]}"
