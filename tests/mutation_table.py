"""`python -m tests.mutation_table`: the kinds of mutation, and whether each is found and named, as Markdown.

The same mutations as in test_mutations.py and test_after_hsdiff.py, which fail when one is missed.
"""

from __future__ import annotations

import contextlib
import io
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import h5py
from h5pyd._apps.hsdiff import diff_file

from tests.copies import VerifyServers, started
from tests.samples import write_base, write_quiet
from tests.servers.check.test_job import SEEN, UNSEEN
from tests.servers.verify.test_mutations import ALL, ATTRIBUTES, NOTES, TREE, TYPES, VALUES, batches, names

MODES = ("link", "ingest")
_HEAD = """# Mutations

Made by `make compatibility`. A good copy is taken, one thing is changed, and the comparison must find it and name the
object. "found" is by the full comparison alone.

"""


def mutated(base: Path, folder: Path, changes: list[Callable[[h5py.File], object]]) -> Path:
    path = shutil.copyfile(base, folder / "mutant.h5")
    with h5py.File(path, "r+") as file:
        for change in changes:
            change(file)
    return path


def full(servers: VerifyServers, folder: Path) -> list[str]:
    """Every mutation against the full comparison, in both modes."""
    write_base(folder / "base.h5")
    domains = {mode: servers.load(folder / "base.h5", mode) for mode in MODES}
    missed: dict[str, set[str]] = {mode: set() for mode in MODES}
    for batch in batches(14):
        path = mutated(folder / "base.h5", folder, [ALL[name][1] for name in batch])
        for mode in MODES:
            report = servers.verify(path, domains[mode], limit=1000)
            missed[mode] |= {name for name in batch if not names(report, ALL[name][0])}
    good = {mode: servers.verify(folder / "base.h5", domains[mode]).same for mode in MODES}
    lines = ["| of what | kinds | found and named, linked | ingested |", "| --- | --- | --- | --- |"]
    for title, group in (
        ("values", VALUES),
        ("types", TYPES),
        ("tree", TREE),
        ("attributes", ATTRIBUTES),
        ("all", ALL),
    ):
        counts = [len(group) - len(missed[mode] & group.keys()) for mode in MODES]
        lines.append(f"| {title} | {len(group)} | {counts[0]} | {counts[1]} |")
    told = ", ".join(f"{mode}: {'called same' if same else 'CALLED DIFFERENT'}" for mode, same in good.items())
    lines += ["", f"The unchanged copy: {told}.", "", "| mutation | object | linked | ingested |"]
    lines += ["| --- | --- | --- | --- |"]
    for name, (where, _) in ALL.items():
        cells = ["MISSED" if name in missed[mode] else "found" for mode in MODES]
        lines.append(f"| {name} | `{where}` | {cells[0]} | {cells[1]} |")
    lines += ["", "What a domain cannot hold is a note, and with `strict_diff` a difference: " + ", ".join(NOTES) + "."]
    return lines


def after_hsdiff(servers: VerifyServers, folder: Path) -> list[str]:
    """hsdiff, then the comparison of what it leaves out, as the differ runs them."""
    write_quiet(folder / "quiet.h5")
    domains = {mode: servers.load(folder / "quiet.h5", mode) for mode in MODES}
    lines = [
        "",
        "## hsdiff first, then what it leaves out",
        "",
        "| mutation | linked | ingested |",
        "| --- | --- | --- |",
    ]
    for name, (where, change) in (UNSEEN | SEEN).items():
        path, cells = mutated(folder / "quiet.h5", folder, [change]), []
        for mode in MODES:
            said = io.StringIO()
            with (
                h5py.File(path) as source,
                servers.open(domains[mode], "r") as copied,
                contextlib.redirect_stdout(said),
            ):
                passed = not diff_file(source, copied) and not said.getvalue()
            report = servers.verify(path, domains[mode], after_hsdiff=passed)
            found = "found" if names(report, where) else "MISSED"
            cells.append(f"{found}{', hsdiff passed it' if passed else ''}")
        lines.append(f"| {name} | {cells[0]} | {cells[1]} |")
    return lines


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="hsds-mutations-") as made:
        root = Path(made)
        with started(root) as servers:
            text = _HEAD + "\n".join(full(servers, root) + after_hsdiff(servers, root)) + "\n"
    print(text, end="")
    return int("MISSED" in text or "DIFFERENT" in text)


if __name__ == "__main__":
    sys.exit(main())
