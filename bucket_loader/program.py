"""What every command does before its work: options, settings, log; and how it ends.

Exit statuses: 0 good, 1 something failed, 2 wrong usage or settings, 130 ended by Ctrl-C.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from . import __version__, config, log
from .config import Config, ConfigError
from .errors import OperatorError
from .log import event

EXIT_STATUSES = """
exit status: 0 good, 1 something failed, 2 wrong usage or settings,
             130 ended by Ctrl-C
"""


@dataclass(frozen=True)
class Command:
    """A program: its words, its own options, and its body, which gives the exit status.

    In `examples`, `%(prog)s` is the name that it was called by. A `desktop` program's output is its result.
    """

    description: str
    examples: str
    add_options: Callable[[argparse.ArgumentParser], None]
    body: Callable[[argparse.Namespace, Config], int]
    desktop: bool = False


def parser(command: Command, prog: str) -> argparse.ArgumentParser:
    """A program's parser, under the name that it was called by."""
    made = log.Parser(prog=prog, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(made, command)
    return made


def add_options(made: argparse.ArgumentParser, command: Command, all_listed: bool = False) -> None:
    """Give a parser a program's words and options, --version and the settings (`all_listed`: in its help, too)."""
    made.description, made.epilog = command.description, command.examples + EXIT_STATUSES
    made.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    command.add_options(made)
    config.add_options(made, all_listed)


def run(made: argparse.ArgumentParser, argv: Sequence[str] | None, command: Command) -> int:
    """Run a command's body with its options and settings, and return its exit status.

    What an operator can mend is shown as one line, not as a stack trace. A desktop command's output is its result: it
    logs to standard error, and below DEBUG only what is wrong.
    """
    options = made.parse_args(argv)
    try:
        settings = config.load(options)
    except ConfigError as error:
        log.complain(f"{made.prog}: {error}")
        return 2
    desktop = command.desktop
    quiet = desktop and settings.log_level == "INFO"
    stream = sys.stderr if desktop else sys.stdout
    log.set_up("WARNING" if quiet else settings.log_level, stream, settings.log_format, settings.secrets())
    level = logging.DEBUG if desktop else logging.INFO
    event(level, f"{made.prog} {__version__} starts with", readers=settings.readers, settings=settings.effective())
    if not desktop:
        log.bind(pod=settings.pod_name)
        for doubt in settings.doubts():
            event(logging.WARNING, "settings", error=doubt)
    try:
        return command.body(options, settings)
    except OperatorError as error:
        log.complain(f"{made.prog}: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # the reader of our output has what it wanted, as `head` does
        sys.stderr.close()
        return 0
    except Exception as error:
        # a defect: its trace is for who looks for it
        log.complain(f"{made.prog}: {type(error).__name__}: {error} (--log_level=DEBUG shows where)")
        event(logging.DEBUG, "broke off", trace=True)
        return 1
