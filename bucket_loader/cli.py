"""The entry to the programs: `hsds-bucket-loader NAME`, and a script for each.

Only the wanted program is imported, and only once Ctrl-C is handled: imports take a second.
"""

from __future__ import annotations

import argparse
import importlib
import signal
import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from . import __version__

if TYPE_CHECKING:
    from .program import Command

PROGRAMS = {
    "make": "make the inventory, an empty table in an HSDS domain",
    "watch": "add the files of the source bucket to the inventory",
    "load": "load the files of the inventory into HSDS",
    "diff": "check the loaded domains against their source files",
    "dump": "show the inventory: a summary, rows, failures, a page",
    "reset": "put rows of the inventory back, to be worked on again",
}
SCRIPTS = {
    "make": "make_inventory.py",
    "watch": "watcher.py",
    "load": "loader.py",
    "diff": "differ.py",
    "dump": "dump_inventory.py",
    "reset": "reset_inventory.py",
}
# where each of them is in this package; only the one that is wanted is imported
MODULES = {
    "make": "inventory.make",
    "watch": "watch.command",
    "load": "load.command",
    "diff": "check.command",
    "dump": "report.command",
    "reset": "inventory.reset",
}
PODS = ("watch", "load", "diff")  # run until they are told to stop
SHELLS = ("bash", "zsh")
INTERRUPTED = 130  # what a shell says of a program that Ctrl-C ended
EXAMPLES = """\
examples:
  hsds-bucket-loader dump --watch                progress, until all is done
  hsds-bucket-loader dump --help                 what a program takes
  eval "$(hsds-bucket-loader completion bash)"   completion with the tab key
  hsds-bucket-loader completion zsh > ~/.zfunc/_hsds-bucket-loader

Each has a script of its own in the project's folder, too: make_inventory.py,
watcher.py, loader.py, differ.py, dump_inventory.py, reset_inventory.py.

exit status: 0 good, 1 something failed, 2 wrong usage or settings,
             130 ended by Ctrl-C
"""


def run(name: str, argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run a program; its exit status."""
    if name in PODS and threading.current_thread() is threading.main_thread():
        # nothing is begun yet. The first process of a container would not even hear the signal, which the kernel hands
        # on only where somebody listens, and would work on until it is killed
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        from . import program

        command = command_of(name)
        return program.run(program.parser(command, prog or SCRIPTS[name]), argv, command)
    except KeyboardInterrupt:
        return INTERRUPTED


def command_of(name: str) -> Command:
    command: Command = importlib.import_module(f"{__package__}.{MODULES[name]}").COMMAND
    return command


def main(argv: Sequence[str] | None = None) -> int:
    """The console command; its exit status."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    if arguments and arguments[0] in PROGRAMS:
        return run(arguments[0], arguments[1:], f"hsds-bucket-loader {arguments[0]}")
    options = _parser(with_options=False).parse_args(arguments)
    if options.program == "completion":
        import shtab

        print(shtab.complete(_parser(with_options=True), options.shell))
    return 0


def _parser(with_options: bool) -> argparse.ArgumentParser:
    """The parser of the console command; `with_options` imports every program to know theirs, too."""
    from .log import Parser

    made = Parser(
        prog="hsds-bucket-loader",
        description="Load the HDF5 files of an S3 bucket into HSDS, check them, and show what is going on.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    programs = made.add_subparsers(dest="program", metavar="PROGRAM", required=True)
    for name, words in PROGRAMS.items():
        one = programs.add_parser(name, help=words, add_help=with_options)
        if with_options:
            from . import program

            program.add_options(one, command_of(name), True)
    completion = programs.add_parser("completion", help="print what makes a shell complete options with the tab key")
    completion.add_argument("shell", choices=SHELLS)
    return made
