"""The frame of the children that say one line about a file: `python -m bucket_loader.look SOURCE`, and `explain`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

import h5py

from .verify.__main__ import open_source
from .verify.report import Trouble


def print_line(command: str, say: Callable[[h5py.File], str], arguments: Sequence[str] | None) -> int:
    """Print what there is to say of the source in the arguments, unless it is empty.

    Returns the exit status: 0, or 2 when the file cannot be read.
    """
    given = sys.argv[1:] if arguments is None else arguments
    if len(given) != 1:
        print(f"usage: python -m {__package__}.{command} SOURCE", file=sys.stderr)
        return 2
    try:
        with open_source(given[0]) as file:
            line = say(file)
    except (Trouble, OSError, RuntimeError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    if line:
        print(line)
    return 0
