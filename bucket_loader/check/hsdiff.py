"""hsdiff: its arguments, and what its run means.

Its exit status is no verdict: it is the number of differences (256 is 0), and a read error is printed and not counted.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..children import printed
from ..children.supervise import Finished
from ..children.tool import Children, expect_exit, failure
from ..errors import Retry


def compare(children: Children, key: str, domain: str) -> None:
    """Compare an object with a domain. Raises CalledOff, Refused where they differ, Retry."""
    named = [children.tools.source.url(key), domain]
    argv = [children.tools.hsdiff, "--loglevel", "error", *named]
    judge(children.run(argv, whole_file=True), named)


def judge(run: Finished, named: Sequence[str] = ()) -> None:
    """Raise for a run that was not good: a good one exits with 0 and has nothing to say."""
    errors = printed.records(run.lines, "ERROR")
    expect_exit(run, errors)
    if not run.status and not run.lines:
        return
    crashed = bool(printed.crash(run.lines))
    reason = printed.telling(run.lines) if crashed or errors else run.lines[0] if run.lines else ""
    reason = f"hsdiff crashed: {reason}" if crashed else reason
    reason = reason or f"hsdiff exited with status {run.status} and said nothing"
    failed = failure(run, printed.cause(run.lines, named), reason)
    if isinstance(failed, Retry) and printed.counted_differences(run.lines):
        failed.busy = False  # it prints names unescaped: a line that looks like a count may come from a name
    raise failed
