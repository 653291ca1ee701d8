"""docs/architecture.md has the map of the package; who may import whom is the linter's (`make lint`)."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "bucket_loader"
# a line for each: its path in the package, and what it is
NAMED = re.compile(r"^- `((?:\w+/)?\w+\.py)` — ", re.M)


def test_every_module_is_in_the_map_and_every_room_of_the_map_is_there() -> None:
    there = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if path.name != "__init__.py" and "__pycache__" not in path.parts
    }
    named = NAMED.findall((ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"))
    assert sorted(named) == sorted(there)


def test_no_room_is_too_large_to_be_read_at_a_sitting() -> None:
    sizes = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in PACKAGE.rglob("*.py")}
    assert not {str(path): size for path, size in sizes.items() if size > 450}
