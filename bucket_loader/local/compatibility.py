"""`python -m bucket_loader.local.compatibility FOLDER`: what becomes of the HDF5 files of a folder, as a page.

Every file is surveyed twice: once linked, once ingested. The page says what was verified, what was not and why, what a
domain does not keep of the verified ones, and which filters can be loaded how.
"""

from __future__ import annotations

import argparse
import platform
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

import h5py
from jinja2 import Environment, PackageLoader, StrictUndefined

from ..config import ENGINES, Engine
from ..verify import Trouble
from .demo import SUFFIXES
from .servers import OWN_HSDS, ServerFailed
from .site import terminable
from .survey import Found, Inspect, Surveyor, filter_files

CLUSTERS = (OWN_HSDS, "1.0.2")  # versions of the cluster's HSDS
_MODES = {"link": "linked", "ingest": "ingested", "unfilt": "ingested with gzip", "values": "values apart"}


def page(files: int, engine: Engine, surveys: Mapping[str, list[Found]], filters: Mapping[str, list[Found]]) -> str:
    """The page. `surveys` and `filters`: by the wanted mode, and another version of the cluster's HSDS."""
    environment = Environment(
        loader=PackageLoader(__package__, "page_files"),
        autoescape=False,  # Markdown; what comes of a file goes through `cell`
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["cell"] = _cell
    return environment.get_template("compatibility.md").render(
        versions=[(name, version(name)) for name in ("h5pyd", "hsds", "h5py", "hdf5plugin")],
        hdf5=h5py.version.hdf5_version,
        python=platform.python_version(),
        month=f"{datetime.now(timezone.utc):%B %Y}",
        engine=engine,
        pod_hsds=OWN_HSDS,
        files=files,
        counts={wanted: _counts(found) for wanted, found in surveys.items()},
        failed=list(_failed(surveys)),
        not_linked=[item for item in surveys.get("link", ()) if item.is_verified and item.mode != "link"],
        notes=_notes(surveys.get("ingest", ())),
        wanted=list(filters),
        filters=_by_name(filters),
    )


def _counts(found: Iterable[Found]) -> list[int]:
    """A row of the first table: the verified by mode, those that hsload loaded, and the failed."""
    modes = Counter(item.mode for item in found if item.is_verified)
    states = Counter(item.state for item in found)
    by_hsload = sum(item.is_verified and item.engine == "hsload" for item in found)
    return [*(modes[mode] for mode in _MODES), by_hsload, states["load failed"], states["check failed"]]


def _notes(found: Iterable[Found]) -> list[tuple[str, int, int]]:
    """What was noted, in how many files, and how many times; the most frequent first."""
    times: Counter[str] = Counter()
    files: Counter[str] = Counter()
    for item in found:
        times.update(item.notes)
        files.update(item.notes.keys())
    return [(what, files[what], count) for what, count in times.most_common()]


def _by_name(filters: Mapping[str, list[Found]]) -> dict[str, list[str]]:
    """How the file of each filter was loaded, for each wanted mode."""
    by_name: dict[str, list[str]] = {}
    for found in filters.values():
        for item in found:
            by_name.setdefault(item.name, []).append(_how(item))
    return by_name


def _how(item: Found) -> str:
    return _MODES[item.mode] if item.is_verified else f"{item.state}: {_cell(item.reason)}"


def _failed(surveys: Mapping[str, list[Found]]) -> Iterator[tuple[str, list[str], str, str]]:
    """Each file that was not verified: its name, the modes with this outcome, its state and the reason, as a cell."""
    outcomes: dict[tuple[str, str, str], list[str]] = {}
    for wanted, found in surveys.items():
        for item in found:
            if not item.is_verified:
                outcomes.setdefault((item.name, item.state, _cell(item.reason)), []).append(wanted)
    for (name, state, reason), wanted_modes in sorted(outcomes.items()):
        yield name, wanted_modes, state, reason


def _cell(text: str) -> str:
    """Text for a table: one line, nothing that is another one in the next run, no bar."""
    text = re.sub(r"(?i)(port=|localhost:|127\.0\.0\.1:)\d+", r"\1…", " ".join(text.split()))
    text = re.sub(r"\b[dgtc]-[0-9a-f]{8}-[0-9a-f-]{27,29}", "…", text)
    return re.sub(r"(source|home/admin|%2Fadmin%2F)-?/?\d+", r"\1", text).replace("|", "\\|").replace("<", "&lt;")


def make_page(
    folder: Path, time_limit: int, engine: Engine = "auto", inspect: Inspect | None = None
) -> tuple[str, dict[str, list[Found]]]:
    """Survey a folder (and the filters) in both modes; the page and what it is made of."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    files = {path.relative_to(folder).as_posix(): path for path in paths}
    surveys, filters = {}, {}
    for cluster_hsds in CLUSTERS:
        with Surveyor.started(cluster_hsds, engine=engine) as surveyor, tempfile.TemporaryDirectory() as made:
            for wanted in ("link", "ingest"):
                of = wanted if cluster_hsds == OWN_HSDS else f"{wanted} ({cluster_hsds})"
                filters[of] = surveyor.survey(filter_files(Path(made)), wanted == "link", time_limit)
                surveys[of] = surveyor.survey(files, wanted == "link", time_limit, inspect)
    return page(len(files), engine, surveys, filters), surveys


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bucket_loader.local.compatibility", description=__doc__)
    parser.add_argument("folder", type=Path, help="a folder with HDF5 files")
    parser.add_argument("--output", type=Path, help="the file to write (default: standard output)")
    parser.add_argument("--time-limit", type=int, default=300, help="seconds for one load or check (default 300)")
    parser.add_argument("--engine", choices=ENGINES, default="auto", help="load_engine (default: auto)")
    options = parser.parse_args(arguments)
    if not options.folder.is_dir():
        parser.error(f"{options.folder} is not a folder")
    try:
        with terminable():
            text, _ = make_page(options.folder, options.time_limit, options.engine)
    except (ServerFailed, Trouble) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    if options.output:
        options.output.write_text(text, encoding="utf-8")
    else:
        print(text, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
