"""`python -m bench` (make bench) and `python -m bench --scale` (make bench-scale): the tables in docs/."""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from bench import loads, scale
from bench.page import Section, write


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure against named rivals.")
    parser.add_argument("--scale", action="store_true", help="long tables and big buckets instead of loads")
    parser.add_argument("--runs", type=int, default=3, help="runs of each measurement; the median counts")
    parser.add_argument("--rows", type=int, nargs="*", default=[10_000, 100_000, 1_000_000], help="with --scale")
    parser.add_argument("--write", type=Path, metavar="FOLDER", help="write the tables and pictures into this folder")
    options = parser.parse_args(argv)
    console = Console()
    console.print(f"[bold]{_machine()}[/]")
    sections: list[Section] = []
    for section in scale.sections(options.rows, console) if options.scale else loads.sections(options.runs, console):
        console.print(section.table())
        sections.append(section)
        if options.write:
            write(options.write, "scale" if options.scale else "loads", _machine(), sections)
    return 0


def _machine() -> str:
    load = os.getloadavg()[0]
    today = datetime.date.today().isoformat()
    return (
        f"{today}, {os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}, load {load:.1f}"
    )


if __name__ == "__main__":
    sys.exit(main())
