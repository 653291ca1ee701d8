"""`python -m bench` (make bench, bench-direct with --direct, bench-scale with --scale): the tables in docs/."""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from bench import direct, loads, scale
from bench.page import Section, write


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure against named rivals.")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--scale", action="store_true", help="long tables and big buckets instead of loads")
    what.add_argument("--direct", action="store_true", help="the direct engine instead of hsload")
    parser.add_argument("--runs", type=int, default=3, help="runs of each measurement; the median counts")
    parser.add_argument(
        "--only", nargs="+", choices=loads.NAMES + direct.NAMES, help="sections of loads, or of --direct; others stay"
    )
    parser.add_argument("--rows", type=int, nargs="*", default=[10_000, 100_000, 1_000_000], help="with --scale")
    parser.add_argument("--write", type=Path, metavar="FOLDER", help="write the tables and pictures into this folder")
    options = parser.parse_args(argv)
    name = "scale" if options.scale else "direct" if options.direct else "loads"
    names = {"scale": (), "direct": direct.NAMES, "loads": loads.NAMES}[name]
    if unknown := set(options.only or names).difference(names):
        parser.error(f"--only: {' '.join(sorted(unknown))}: here there are {' '.join(names) or 'no sections'}")
    console = Console()
    console.print(f"[bold]{_machine()}[/]")
    sections: list[Section] = []
    measured = {
        "scale": lambda: scale.sections(options.rows, console),
        "direct": lambda: direct.sections(options.runs, console, options.only or names),
        "loads": lambda: loads.sections(options.runs, console, options.only or names),
    }
    for section in measured[name]():
        console.print(section.table())
        sections.append(section)
        if options.write:
            write(options.write, name, _machine(), sections, keep=options.only is not None)
    return 0


def _machine() -> str:
    load = os.getloadavg()[0]
    today = datetime.date.today().isoformat()
    return (
        f"{today}, {os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}, load {load:.1f}"
    )


if __name__ == "__main__":
    sys.exit(main())
