"""What a run of a child means for its file. Of our own children it is in their answers; hsload and hsdiff print it.

Neither tool's exit status is a verdict: hsload prints ERROR and exits 0 in places, hsdiff's status is the number of
differences (256 is 0), and it prints a read error without counting it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

from ..causes import Cause
from ..load.preflight import Look
from ..log import clear_line
from . import printed, supervise
from .answer import Answer


class Verdict(Enum):
    """What a tool's run means for its file."""

    GOOD = "good"
    BAD = "bad"  # and will be the next time
    TRY_AGAIN = "try again"  # something in the way that may pass
    CALLED_OFF = "called off"


class Mode(Enum):
    """How a file is loaded; the value is what the row says."""

    LINK = "link"  # metadata and chunk locations, the data stays where it is
    INGEST = "ingest"  # all data, with the filters of the source
    UNFILTERED = "unfilt"  # all data, with gzip instead of the source's filters
    VALUES = "values"  # the same, with the values written by ourselves: hsload cannot


@dataclass(frozen=True)
class Judged:
    """A tool's run, judged. `status` is the exit status, `reason` one line; `seconds` of wall time."""

    verdict: Verdict
    status: int
    reason: str
    seconds: float
    next_mode: Mode | None = None  # of a bad load: how it may go well
    busy: bool = False  # a server had no room for it: nothing was learnt of the file
    limited: bool = False  # it met a limit of ours, as it would the next time and in any other mode


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


def judge_load(run: supervise.Finished, mode: Mode, named: Sequence[str] = ()) -> Judged:
    """What a run of hsload means: status and output together. `named`: the source and the domain that it was given."""
    errors, warnings = printed.records(run.lines, "ERROR"), printed.records(run.lines, "WARNING")
    if early := _not_exited(run, errors):
        return early
    if run.status or errors:
        telling = printed.telling(run.lines)
        reason = printed.telling(errors[::-1]) or telling
        if telling and printed.crash(run.lines):
            reason = telling
        failed = _failed(run, reason or f"hsload exited with status {run.status} and said nothing", named)
        return replace(failed, next_mode=None if failed.limited else _next_mode(mode, failed.reason))
    if loss := next(filter(_LOSSES.fullmatch, warnings), ""):
        return Judged(Verdict.BAD, run.status, clear_line(loss), run.seconds)
    unreadable = next(filter(_UNREADABLE_LINKS.fullmatch, warnings), "")
    if mode is Mode.LINK and unreadable:
        reason = f"cannot be linked: {clear_line(unreadable)}"
        return Judged(Verdict.BAD, run.status, reason, run.seconds, Mode.INGEST)
    return Judged(Verdict.GOOD, 0, "", run.seconds)


def _next_mode(mode: Mode, reason: str) -> Mode | None:
    """The mode in which a file may be loaded after all."""
    if mode is not Mode.VALUES and _UNWRITABLE.search(reason):
        return Mode.VALUES
    if mode not in (Mode.UNFILTERED, Mode.VALUES) and _UNKNOWN_FILTER.search(reason):
        return Mode.UNFILTERED
    if mode is Mode.LINK and _UNLINKABLE.search(reason):
        return Mode.INGEST
    return None


def judge_diff(run: supervise.Finished, named: Sequence[str] = ()) -> Judged:
    """What a run of hsdiff means: GOOD only when it exited with 0 and had nothing to say."""
    errors = printed.records(run.lines, "ERROR")
    if early := _not_exited(run, errors):
        return early
    if not run.status and not run.lines:
        return Judged(Verdict.GOOD, 0, "PASSED", run.seconds)
    crashed = bool(printed.crash(run.lines))
    reason = printed.telling(run.lines) if crashed or errors else run.lines[0] if run.lines else ""
    if crashed:
        reason = f"hsdiff crashed: {reason}"
    failed = _failed(run, reason or f"hsdiff exited with status {run.status} and said nothing", named)
    # it prints names as they are: what it counted may be told in lines that a name has made
    return replace(failed, busy=failed.busy and not printed.counted_differences(run.lines))


def judge_own(run: supervise.Finished, good: str = "") -> tuple[Answer | None, Judged]:
    """What a child of ours answered, and what that means; without a valid answer, how it ended."""
    if run.ending in (supervise.Ending.EXITED, supervise.Ending.KILLED):
        try:
            answer = Answer.from_json(run.answer)
        except ValueError:
            pass
        else:
            if answer.verdict == "done":
                return answer, Judged(Verdict.GOOD, 0, good, run.seconds)
            judged = _of_cause(run, answer.cause, answer.reason)
            # a difference is one, whatever else was too busy to be read
            return answer, replace(judged, busy=judged.busy and answer.verdict == "trouble")
    said = printed.telling(run.lines)
    early = _not_exited(run, [])
    # a child that could not write its answer may find a better day
    reason = f"a child ended with status {run.status} and left no answer"
    lost = Judged(Verdict.TRY_AGAIN, run.status or 1, clear_line(f"{reason}: {said}" if said else reason), run.seconds)
    return None, early or lost


def judge_look(run: supervise.Finished) -> tuple[Look | None, Judged]:
    """What a look at a file means; None where it could not be read."""
    answer, judged = judge_own(run)
    return Look.from_json(answer.content) if answer and judged.verdict is Verdict.GOOD else None, judged


def _not_exited(run: supervise.Finished, errors: Sequence[str]) -> Judged | None:
    if run.ending is supervise.Ending.EXITED:
        return None
    if run.ending is supervise.Ending.CALLED_OFF:
        return Judged(Verdict.CALLED_OFF, run.status, run.describe(), run.seconds)
    last = f"; its last error: {errors[-1]}" if errors else ""
    verdict = Verdict.BAD if run.was_limited else Verdict.TRY_AGAIN
    reason = clear_line(run.describe() + last)
    return Judged(verdict, run.status or 1, reason, run.seconds, limited=run.was_limited)


def _failed(run: supervise.Finished, reason: str, named: Sequence[str]) -> Judged:
    return _of_cause(run, printed.cause(run.lines, named), reason)


def _of_cause(run: supervise.Finished, cause: Cause, reason: str) -> Judged:
    reason, status = clear_line(reason), run.status or 1
    if cause == "memory":
        # the same file takes as much the next time: three tries would be three times the harm
        words = clear_line(f"ran out of memory: a child may have {run.memory}; {reason}")
        return Judged(Verdict.BAD, status, words, run.seconds, limited=True)
    verdict = Verdict.BAD if cause == "file" else Verdict.TRY_AGAIN
    return Judged(verdict, status, reason, run.seconds, busy=cause == "busy")
