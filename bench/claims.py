"""Claims: how many a second, and how long each takes, by the length of the table."""

from __future__ import annotations

import multiprocessing
import statistics
import time
from dataclasses import dataclass
from threading import Barrier

import numpy as np

from bench.stage import PASSWORD, USER, Stage
from bucket_loader.hsds import Hsds
from bucket_loader.inventory.claims import Inventory
from bucket_loader.inventory.model import Outcome, key_digest
from bucket_loader.inventory.states import LOAD, State
from bucket_loader.inventory.table import READ_ROWS

CLAIMERS = 8


@dataclass(frozen=True)
class Claims:
    """What 8 claimers did with one table, after each had found its first row. Times in seconds."""

    rows: int
    per_second: float
    median: float
    p99: float
    first: float  # the slowest first claim of a worker that has just started
    doubled: int


def long_table(stage: Stage, rows: int, done: float) -> Inventory:
    """An inventory of so many rows, of which the first part is done; made by appending."""
    folder = f"/home/{USER}/table-{rows}/"
    stage.hsds.make_folders(folder)
    inventory = Inventory.create(stage.hsds, f"{folder}inventory.h5", public=False)
    for start in range(0, rows, READ_ROWS):
        count = min(READ_ROWS, rows - start)
        numbers = range(start, start + count)
        block = np.zeros(count, inventory.dtype)
        block["filename"] = [b"data/2026/file-%09d.h5" % number for number in numbers]
        block["keyhash"] = [key_digest(f"data/2026/file-{number:09}.h5").hex().encode() for number in numbers]
        block["rowid"] = np.arange(start + 1, start + count + 1)
        block["size"], block["etag"], block["modified"] = 100_000, b"0" * 32, 1_700_000_000
        block["state"] = np.where(np.arange(start, start + count) < rows * done, State.VERIFIED, State.NEW)
        stage.hsds.request(
            "PUT",
            f"/datasets/{inventory.table_id}/value",
            inventory.domain,
            params={"append": count},
            data=block.tobytes(),
            again=False,
        )
    inventory.flush()
    return inventory


def measure(inventory: Inventory, endpoint: str, seconds: float) -> Claims:
    """Let 8 processes claim rows for so long."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(CLAIMERS, _together, [context.Barrier(CLAIMERS)]) as pool:
        work = [(endpoint, inventory.domain, f"pod-{number}", seconds) for number in range(CLAIMERS)]
        answers = pool.starmap(_claim, work, chunksize=1)
    times = [found for answer in answers for found in answer[0][1:]]
    indices = [index for answer in answers for index in answer[1]]
    return Claims(
        rows=inventory.count(),
        per_second=(len(indices) - CLAIMERS) / max(sum(answer[0][1:]) for answer in answers),
        median=statistics.median(times),
        p99=statistics.quantiles(times, n=100)[98],
        first=max(answer[0][0] for answer in answers),
        doubled=len(indices) - len(set(indices)),
    )


# of a claimer's process: a second of imports of one must not take the processor from the claims of another
_starts: list[Barrier] = []


def _together(barrier: Barrier) -> None:
    _starts.append(barrier)


def _claim(endpoint: str, domain: str, pod: str, seconds: float) -> tuple[list[float], list[int]]:
    """Claim for so long; the seconds of each claim, and the rows."""
    inventory = Inventory.open(Hsds(endpoint, USER, PASSWORD), domain)
    _starts[0].wait(60)
    times: list[float] = []
    rows: list[int] = []
    while sum(times) < seconds:
        began = time.monotonic()
        claim = inventory.claim(LOAD, pod, 600)
        times.append(time.monotonic() - began)
        if claim is None:
            break
        rows.append(claim.row.index)
    return times, rows


def finishes(inventory: Inventory, count: int) -> tuple[float, float]:
    """The median seconds of a finish and of a lease's renewal."""
    renewals, ends = [], []
    for _ in range(count):
        claim = inventory.claim(LOAD, "pod", 600)
        assert claim is not None
        began = time.monotonic()
        assert inventory.renew(claim, 600)
        renewals.append(time.monotonic() - began)
        began = time.monotonic()
        assert inventory.finish(claim, Outcome(State.LOADED, mode="link")) is State.LOADED
        ends.append(time.monotonic() - began)
    return statistics.median(ends), statistics.median(renewals)
