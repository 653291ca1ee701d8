"""What a child of ours says of a file: data, in a file of its own.

Not on its output, where HDF5 and other C libraries may print what they like, and not as prose that its parent would
have to understand: that holds names and values of the file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from ..causes import Cause, cause_of
from ..log import clear_line

FILE = "answer.json"  # in the folder that a child works in
MAX_BYTES = 1 << 20
Verdict = Literal["done", "different", "trouble"]


@dataclass(frozen=True)
class Answer:
    """A verdict, and why it is not a good one.

    `done`: the child did what it is for, and a comparison found both sides to be the same. `different`: they are not.
    `trouble`: it could not be done or found out. `cause` says whose fault that is; `reason` is one line for people.
    `content` is what this kind of child adds.
    """

    verdict: Verdict
    reason: str = ""
    cause: Cause = "file"
    content: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of_error(cls, error: BaseException, words: str = "") -> Answer:
        """The trouble that an exception means."""
        return cls("trouble", clear_line(words or str(error) or type(error).__name__), cause_of(error))

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Answer:
        """Raises ValueError for anything else than the output of `to_json`."""
        try:
            answer = cls(**json.loads(text))
        except TypeError as error:
            raise ValueError(str(error)) from error
        known = answer.verdict in get_args(Verdict) and answer.cause in get_args(Cause)
        if not (known and isinstance(answer.reason, str) and isinstance(answer.content, dict)):
            raise ValueError("not an answer")
        return answer


def read(folder: Path) -> str:
    """What a child has left in its folder; an empty text where that is nothing, or too much to be an answer."""
    try:
        with (folder / FILE).open(encoding="utf-8", errors="replace") as stream:
            text = stream.read(MAX_BYTES + 1)
    except OSError:
        return ""
    return text if len(text) <= MAX_BYTES else ""
