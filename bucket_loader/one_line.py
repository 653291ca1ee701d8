"""The frame of the children that say one line about a file: `python -m bucket_loader.look SOURCE`, and `explain`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

import h5py

from .verify.__main__ import open_source
from .verify.report import Trouble


def parser(command: str, description: str) -> argparse.ArgumentParser:
    """The arguments of such a child: a source, and what it adds."""
    made = argparse.ArgumentParser(prog=f"python -m {__package__}.{command}", description=description)
    made.add_argument("source", help="a path, or s3://bucket/key")
    return made


def print_line(source: str, say: Callable[[h5py.File], str]) -> int:
    """Print what there is to say of a source, unless it is empty.

    Returns the exit status: 0, or 2 when the file cannot be read.
    """
    try:
        with open_source(source) as file:
            line = say(file)
    except (Trouble, OSError, RuntimeError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    if line:
        print(line)
    return 0
