"""What each setting of a pod's own HSDS gives: small files with all of them, without one of them, and with others."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from rich.console import Console

from bench.page import Section, verdict
from bench.stage import PASSWORD, USER, Stage, one_dataset
from bucket_loader.local.servers import CERTIFICATES, LOADER_SETTINGS, HsdsServer

FILES, WORKERS, GOAL = 20, 2, 2.0


@dataclass(frozen=True, eq=False)
class Variation:
    """A pod's HSDS that differs from the one of the manifests in settings, variables or data nodes."""

    name: str
    settings: Mapping[str, object] = field(default_factory=dict)
    without: tuple[str, ...] = ()  # variables of the environment
    data_nodes: int = 1
    keeps_clients: bool = True  # of S3


UNTUNED = {"flush_sleep_interval": 1, "s3_age_time": 1, "s3_sync_interval": 1, "log_level": "INFO"}
AS_IT_COMES = Variation("as HSDS comes", UNTUNED, without=CERTIFICATES, keeps_clients=False)
TUNED = Variation("as in the manifests")
VARIATIONS = (
    AS_IT_COMES,
    TUNED,
    Variation("with a client for each call of S3", keeps_clients=False),
    *(Variation(f"with {name} {value}", {name: value}) for name, value in UNTUNED.items()),
    Variation("with max_pending_write_requests 64", {"max_pending_write_requests": 64}),
    Variation("with metadata_mem_cache_expire 2", {"metadata_mem_cache_expire": 2}),
    Variation("with chunk_mem_cache_size 512m", {"chunk_mem_cache_size": "512m"}),
    Variation("with two data nodes", data_nodes=2),
    Variation("without scans for an hour", {"scan_wait_time": 3600, "scan_sleep_time": 3600}),
)


@contextmanager
def pod_with(made: Stage, variation: Variation, label: object) -> Iterator[Stage]:
    """The stage with another HSDS for the pod."""
    settings = {**LOADER_SETTINGS, **variation.settings}
    server = HsdsServer(
        made.root,
        made.s3,
        "target",
        {USER: PASSWORD},
        f"tuning-{label}",
        settings,
        variation.data_nodes,
        keeps_clients=variation.keeps_clients,
    )
    for node in server.nodes:
        for name in variation.without:
            del node.env[name]
    with server:
        yield replace(made, pod=server)


def section(made: Stage, runs: int, console: Console) -> Section:
    """Files per second with each variation, in turns, against HSDS as it comes."""
    bucket = made.bucket("bench-tuning", {f"{number}.h5": one_dataset(number) for number in range(FILES)})
    found: dict[Variation, list[float]] = {variation: [] for variation in VARIATIONS}
    for _ in range(runs):
        for number, variation in enumerate(VARIATIONS):
            console.print(f"HSDS {variation.name}")
            with pod_with(made, variation, number) as stage:
                found[variation].append(FILES / stage.load_all(bucket, FILES, True, WORKERS).seconds)
    speeds = {variation: statistics.median(speed) for variation, speed in found.items()}
    rows = [
        [variation.name, f"{speed:.2f}", f"{speed / speeds[AS_IT_COMES]:.2f}", f"{speed / speeds[TUNED]:.2f}"]
        for variation, speed in speeds.items()
    ]
    reached = speeds[TUNED] >= GOAL * speeds[AS_IT_COMES]
    text = (
        f"Files with one dataset, linked by {WORKERS} workers; {runs} runs in turn, medians. Goal: as in the manifests "
        f"≥ {GOAL:g} times as HSDS comes: {verdict(reached)}."
    )
    head = ["the pod's HSDS", "files/s", "against HSDS as it comes", "against the manifests"]
    return Section("Settings of the pod's HSDS", head, rows, text)
