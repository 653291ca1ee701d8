"""The steps of a load that are programs of ours, each in a child: preflight, diagnosis, repair; the direct write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..children.limits import Budget
from ..children.tool import Children
from ..errors import AttemptFailed, Refused, Retry
from .hsload import Mode
from .preflight import Preflight

DIAGNOSE_SECONDS = 300.0


def preflight(children: Children, key: str, mode: Mode, readers: Sequence[str] = ()) -> Preflight:
    """What a load in a mode has to know of an object that these versions of HSDS are to read.

    Raises CalledOff, Refused, Retry.
    """
    config = children.tools.config
    limits = [f"--max-chunk={config.max_chunk_size}", f"--max-unwritten={config.max_unwritten_size}"]
    copied = [] if mode is Mode.LINK else ["--copied"]
    copied += [f"--reader={version}" for version in readers]
    answer = children.ask("load.preflight", [*limits, *copied, children.tools.source.url(key)])
    return Preflight.from_json(answer.content)


def write(children: Children, key: str, root: str, bucket: str, readers: Sequence[str]) -> Mapping[str, Any]:
    """Write an object's domain into a bucket, under a root; what was written (`storage.write.Written`).

    `readers`: the versions of HSDS that are to read it. Raises CalledOff, Refused, Retry.
    """
    config = children.tools.config
    options = [f"--bucket={bucket}", f"--max-chunk={config.max_chunk_size}"]
    options += [f"--max-unwritten={config.max_unwritten_size}", f"--in-flight={config.in_flight_size}"]
    options += [f"--concurrency={config.s3_concurrency}", *(f"--reader={version}" for version in readers)]
    if config.link_files:
        options.append("--link" if config.link_fallback == "ingest" else "--only-link")
    options += [f"--within={prefix}" for prefix in config.src_prefix]
    options += [f"--block={config.s3_block_size}", f"--data-block={config.s3_data_block_size}"]
    return children.ask("storage", [*options, children.tools.source.url(key), root]).content


def diagnose(children: Children, key: str) -> str:
    """Which object of a file hsload could not load, and why; an empty text when that is not known. Raises CalledOff."""
    # it reads values, which can be endless in a damaged file, and may not take what is left of hours for some words
    budget = Budget(min(DIAGNOSE_SECONDS, children.budget.left), children.budget.setting)
    try:
        return replace(children, budget=budget).ask("load.diagnose", [children.tools.source.url(key)]).reason
    except AttemptFailed:
        return ""


def repair(children: Children, key: str, domain: str, mode: Mode) -> None:
    """Write the attributes that hsload spoils, the links that it leaves out, and in VALUES all values.

    Raises CalledOff, Refused, Retry.
    """
    options = ["--values"] if mode is Mode.VALUES else []
    try:
        children.ask("load.repair", [*options, children.tools.source.url(key), domain], whole_file=bool(options))
    except (Refused, Retry) as failure:
        failure.reason = f"what hsload left out cannot be written: {failure.reason}"
        raise
