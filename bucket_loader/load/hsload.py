"""hsload: its modes, its arguments, and what its run means.

Its exit status is no verdict: it prints ERROR and exits 0 in places. Both together are judged.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum

from ..children import printed
from ..children.supervise import Finished
from ..children.tool import Children, expect_exit, failure
from ..errors import Refused
from ..log import clear_line


class Mode(Enum):
    """How a file is loaded; the value is what the row says."""

    LINK = "link"  # metadata and chunk locations, the data stays where it is
    INGEST = "ingest"  # all data, with the filters of the source
    UNFILTERED = "unfilt"  # all data, with gzip instead of the source's filters
    VALUES = "values"  # the same, with the values written by ourselves: hsload cannot


class WrongMode(Refused):
    """The file cannot be loaded in this mode, and perhaps in `next_mode`."""

    def __init__(self, reason: str, next_mode: Mode, status: int = 1) -> None:
        super().__init__(reason, status)
        self.next_mode = next_mode


# with a filter of its own, hsload does not ask for bitshuffle, which it does even when told to ignore filters
_OPTIONS = {Mode.LINK: ["--link"], Mode.INGEST: [], Mode.UNFILTERED: ["--ignore-filters", "-z", "1"]}
_OPTIONS[Mode.VALUES] = ["--nodata", *_OPTIONS[Mode.UNFILTERED]]
# hsload goes on after these warnings; what they are about is not in the domain, or not as it was (a hard link that it
# leaves out is found by counting). A name of the file may stand where the dots are, and nowhere before
_LOSSES = re.compile(
    r"regionreference types not supported, .*"
    r"|Unexpected link type: .*"
    r"|byte value for attribute .* is not utf8 encodable - using surrogateescaping"
    r"|No path found for ref object"
)
# filters that HSDS does not undo: a link to such chunks reads back as rubbish, or hangs its readers
_UNREADABLE_LINKS = re.compile(
    r"(fletcher32|scaleoffset) filter used by dataset: .* is not supported by HSDS, this filter will not be used"
    r"|filter id \d+ for .* not supported"
    r"|ignoring compression_opts for filter: \w+"
)
# what hsload says of layouts and filters that a link cannot describe; their data can be copied
_UNLINKABLE = re.compile(r"unexpected dataset_offset|external raw data")
# what it says when it comes to the values of a bit field or of a tagged opaque type
_UNWRITABLE = re.compile(r"no appropriate function for conversion path")
_UNKNOWN_FILTER = re.compile(r"Unknown compression|filter \{.*\} is not supported")


def load(children: Children, key: str, domain: str, mode: Mode) -> None:
    """Load an object into a domain, which is replaced. Raises CalledOff, Refused (WrongMode among them), Retry."""
    named = [children.tools.source.url(key), domain]
    argv = [children.tools.hsload, "--loglevel", "warning", *_OPTIONS[mode], *named]
    judge(children.run(argv, whole_file=mode is not Mode.LINK), mode, named)


def judge(run: Finished, mode: Mode, named: Sequence[str] = ()) -> None:
    """Raise for a run that was not good, by its status and output. `named`: the source and the domain that it was
    given.
    """
    errors, warnings = printed.records(run.lines, "ERROR"), printed.records(run.lines, "WARNING")
    expect_exit(run, errors)
    if run.status or errors:
        raise _failure(run, mode, errors, named)
    if loss := next(filter(_LOSSES.fullmatch, warnings), ""):
        raise Refused(clear_line(loss), run.status)
    unreadable = next(filter(_UNREADABLE_LINKS.fullmatch, warnings), "")
    if mode is Mode.LINK and unreadable:
        raise WrongMode(f"cannot be linked: {clear_line(unreadable)}", Mode.INGEST, run.status)


def _failure(run: Finished, mode: Mode, errors: Sequence[str], named: Sequence[str]) -> Exception:
    telling = printed.telling(run.lines)
    reason = printed.telling(errors[::-1]) or telling
    if telling and printed.crash(run.lines):
        reason = telling
    reason = reason or f"hsload exited with status {run.status} and said nothing"
    failed = failure(run, printed.cause(run.lines, named), reason)
    if isinstance(failed, Refused) and not failed.limited and (next_mode := _next_mode(mode, failed.reason)):
        return WrongMode(failed.reason, next_mode, failed.status)
    return failed


def _next_mode(mode: Mode, reason: str) -> Mode | None:
    """The mode in which a file may be loaded after all."""
    if mode is not Mode.VALUES and _UNWRITABLE.search(reason):
        return Mode.VALUES
    if mode not in (Mode.UNFILTERED, Mode.VALUES) and _UNKNOWN_FILTER.search(reason):
        return Mode.UNFILTERED
    if mode is Mode.LINK and _UNLINKABLE.search(reason):
        return Mode.INGEST
    return None
