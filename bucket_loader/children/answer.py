"""What a child of ours says of a file: data, in a file of its own.

Not on its output, where HDF5 and other C libraries may print what they like, and not as prose that its parent would
have to understand: that holds names and values of the file.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from ..causes import Cause, cause_of
from ..log import clear_line

FILE = "answer.json"  # in the folder that a child works in
PROGRESS_FILE = "progress.json"  # beside it: how far the child has come
PROGRESS_SECONDS = 1.0  # between two looks at it
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


@contextmanager
def telling(path: str | None, numbers: Callable[[], Mapping[str, int]]) -> Iterator[None]:
    """Within the block, write how far this child has come to a file beside its answer, once a second."""
    over = threading.Event()

    def tell(folder: Path) -> None:
        new = folder / f"{PROGRESS_FILE}.new"
        while not over.wait(PROGRESS_SECONDS):
            with suppress(OSError):  # the folder goes with the file
                new.write_text(json.dumps(numbers()), encoding="utf-8")
                new.rename(folder / PROGRESS_FILE)

    if path:
        # by its whole path: a child that is kept changes its folder for the next file
        threading.Thread(target=tell, args=(Path(path).absolute().parent,), name="telling", daemon=True).start()
    try:
        yield
    finally:
        over.set()


def read_progress(folder: Path) -> dict[str, int]:
    """How far a child says that it has come; empty where it does not."""
    try:
        found = json.loads((folder / PROGRESS_FILE).read_text(encoding="utf-8"))
        return {name: int(found[name]) for name in ("objects", "of", "bytes")}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
