"""The programs: what each of them takes, and what it does with it. `cli` finds them by their name."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass

from ..config import Config


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
