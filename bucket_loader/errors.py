"""What interrupts: errors that an operator has to see, and the ends that an attempt at a file can come to."""

from __future__ import annotations


class OperatorError(Exception):
    """Something that an operator can mend or wait for. Its text is one line: the thing, the value, and the cure."""


class CalledOff(Exception):
    """The work was called off: the process is stopping, or another worker has the row."""


class AttemptFailed(Exception):
    """A load or a check came to nothing. `reason` is one line, `status` the exit status of the tool that failed.

    `limited`: it met a limit of ours, as it would in any other mode. `busy`: a server had no room, and nothing was
    learnt of the file.
    """

    limited = busy = False

    def __init__(self, reason: str, status: int = 1) -> None:
        super().__init__(reason)
        self.reason, self.status = reason, status


class Refused(AttemptFailed):
    """It would come to the same the next time."""

    def __init__(self, reason: str, status: int = 1, limited: bool = False) -> None:
        super().__init__(reason, status)
        self.limited = limited


class Retry(AttemptFailed):
    """Something was in the way that may pass."""

    def __init__(self, reason: str, status: int = 1, busy: bool = False) -> None:
        super().__init__(reason, status)
        self.busy = busy
