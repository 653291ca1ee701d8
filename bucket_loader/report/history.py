"""What happened when: the chosen rows as columns, for the page. About 200 bytes a row are held, and its key."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from ..inventory.model import Rows, states
from ..inventory.states import State
from .select import Selection, chosen, column, read_at
from .several import Readable
from .words import pod_of

Numbers = npt.NDArray[np.int64]
_NUMBERS = ("size", "loadstart", "loaddone", "diffstart", "diffdone", "loadattempts", "diffattempts")
_WORDS = ("loadpodname", "diffpodname", "loadreason", "diffresult")
_DONE = (State.LOADED, State.CHECKING, State.VERIFIED, State.CHECK_FAILED)


class Words:
    """Texts that come again and again, as numbers; 0 is none."""

    def __init__(self, of: Callable[[bytes], bytes] = lambda text: text) -> None:
        self._of = of  # what of a text counts
        self.all: list[str] = [""]
        self._known: dict[bytes, int] = {b"": 0}

    def numbers(self, texts: npt.NDArray[np.bytes_]) -> Numbers:
        unique, back = np.unique(texts, return_inverse=True)
        return np.array([self._number(self._of(text)) for text in unique.tolist()], "i8")[back.reshape(-1)]

    def _number(self, text: bytes) -> int:
        if text not in self._known:
            self._known[text] = len(self.all)
            self.all.append(text.decode("utf-8", "replace"))
        return self._known[text]


@dataclass
class History:
    """The chosen rows; arrays of shape (rows,), times in epoch seconds, pods and reasons as numbers of their words."""

    names: list[str] = field(default_factory=list)
    pods: Words = field(default_factory=lambda: Words(pod_of))
    reasons: Words = field(default_factory=Words)
    columns: dict[str, Numbers] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Numbers:
        return self.columns[name]

    @property
    def state(self) -> Numbers:
        return self["state"]

    def was_loaded(self) -> npt.NDArray[np.bool_]:
        """Which rows have a load that ended well."""
        return np.isin(self.state, [int(one) for one in _DONE]) & (self["loaddone"] > 0)

    def began(self) -> int:
        """When the first load that is known of began; 0 when none did."""
        starts = self["loadstart"][self["loadstart"] > 0]
        return int(starts.min()) if len(starts) else 0


def read(inventory: Readable, selection: Selection) -> History:
    """Read what the page shows of the chosen rows."""
    history = History()
    parts: dict[str, list[npt.NDArray[Any]]] = {name: [] for name in (*_NUMBERS, *_WORDS, "state")}
    for places in chosen(inventory, selection):
        runs: list[tuple[npt.NDArray[np.int64], Rows]] = []
        for run, block in read_at(inventory, places, ("filename", *_NUMBERS, *_WORDS)):
            runs.append((run, block))
        for block in _in_order(runs, places):
            history.names += [name.decode("utf-8", "replace") for name in block["filename"].tolist()]
            parts["state"].append(states(block).astype("i8"))
            for name in _NUMBERS:
                parts[name].append(column(block, name).astype("i8"))
            for name in _WORDS:
                words = history.pods if name.endswith("podname") else history.reasons
                parts[name].append(words.numbers(column(block, name)))
    history.columns = {name: np.concatenate([np.zeros(0, "i8"), *found]) for name, found in parts.items()}
    return history


def _in_order(runs: Sequence[tuple[npt.NDArray[np.int64], Rows]], places: npt.NDArray[np.int64]) -> list[Rows]:
    """What was read in the order of the table, in the order of the places."""
    if len(places) < 2 or bool(np.all(np.diff(places) > 0)):
        return [block for _, block in runs]
    block = cast("Rows", np.concatenate([block for _, block in runs]))
    return [block[np.argsort(np.argsort(places))]]
