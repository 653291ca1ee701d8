"""Runs the code that it is given, again and again in one process."""

from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    names: dict[str, object] = {"arguments": arguments}
    exec(arguments[0], names)
    return int(str(names.get("status", 0)))
