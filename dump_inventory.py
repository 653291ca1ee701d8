#!/usr/bin/env python3
"""Shows the inventory: every row, a summary, or JSON. Runs on a desktop, with HSDS_ENDPOINT set to the outside."""

import argparse
import sys
import time
from collections.abc import Sequence

from rich.console import Console
from rich.live import Live

from bucket_loader import report, start
from bucket_loader.config import Config
from bucket_loader.inventory import Inventory
from bucket_loader.states import State

STATES = {state.label.replace(" ", "-"): state for state in State if state not in (State.BLANK, State.DUPLICATE)}
EXAMPLES = """\
examples:
  dump_inventory.py --summary            how many files are in which state, how fast, how long to go
  dump_inventory.py --state load-failed  the rows that could not be loaded, with the reasons
  dump_inventory.py --json | jq .        one object per line, every column
  dump_inventory.py --watch              the summary again and again, until all is done
"""


def main(argv: Sequence[str] | None = None) -> int:
    parser = start.parser("Show the inventory.", EXAMPLES)
    parser.add_argument("--summary", action="store_true", help="counts per state, rate and time left, no rows")
    parser.add_argument("--state", choices=STATES, action="append", help="only rows in this state (may be repeated)")
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    parser.add_argument("--watch", action="store_true", help="repaint the summary until every row is finished")
    return start.run(parser, argv, dump, desktop=True)


def dump(options: argparse.Namespace, settings: Config) -> int:
    inventory = Inventory.open(start.connect(settings), settings.inventory_domain, any_columns=True)
    console = Console()
    if options.watch:
        with Live(console=console, auto_refresh=False) as live:
            while not (summary := report.summarize(inventory)).finished:
                live.update(report.summary_table(summary, settings.inventory_domain), refresh=True)
                time.sleep(2)
            live.update(report.summary_table(summary, settings.inventory_domain), refresh=True)
    elif options.summary:
        console.print(report.summary_table(report.summarize(inventory), settings.inventory_domain))
    else:
        wanted = {STATES[name] for name in options.state or STATES}
        rows = (row for row in inventory.rows() if row.state in wanted)
        for line in map(report.json_line, rows) if options.json else report.lines(rows):
            print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
