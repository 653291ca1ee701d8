"""What one more file takes by the direct engine; what many pods would do, calculated: there are no cores for them."""

from __future__ import annotations

from collections.abc import Iterator

import psutil
from rich.console import Console

from bench.memory import cpu_of, peaks
from bench.page import Section
from bench.stage import Stage, one_dataset
from tests.proxy import lossy

FILES = (20, 120)  # what the programs take to start is in both
WORKERS = 2
PODS = (1, 2, 4, 8)
WORKER, SERVICE_NODE, DATA_NODE, S3 = "the worker", "the service node", "the data node", "S3"
REQUESTS, ASKED = "requests of S3", "requests of HSDS"


def sections(made: Stage, console: Console) -> Iterator[Section]:
    found = {}
    for mode in ("link", "ingest"):
        console.print(f"what a file takes, {mode}")
        less, more = (_taken(made, count, mode) for count in FILES)
        found[mode] = {what: (more[what] - less[what]) / (FILES[1] - FILES[0]) for what in more}
    yield _file(found)
    yield _pods(found)


def _taken(made: Stage, count: int, mode: str) -> dict[str, float]:
    """Seconds of CPU by process, and requests, of a load of so many files."""
    bucket = made.bucket(f"pods-{mode}-{count}", {f"{number}.h5": one_dataset(number) for number in range(count)})
    servers = {
        name: psutil.Process(pid)
        for name, pid in ((SERVICE_NODE, made.cluster.sn.pid), (DATA_NODE, made.cluster.dn.pid), (S3, made.s3.pid))
    }
    with lossy(made.s3.port) as store, lossy(made.cluster.port) as cluster:
        before = {name: cpu_of(server) for name, server in servers.items()}
        with peaks({WORKER: "loader.py"}, cpu_of) as cpu:
            made.load_all(
                bucket,
                count,
                mode == "link",
                WORKERS,
                load_engine="direct",
                tgt_bucket="target",
                aws_s3_gateway=store.endpoint,
                hsds_endpoint=cluster.endpoint,
            )
        cpu |= {name: cpu_of(server) - before[name] for name, server in servers.items()}
    return cpu | {REQUESTS: len(store.heads), ASKED: len(cluster.heads)}


def _file(found: dict[str, dict[str, float]]) -> Section:
    rows = [[mode, *(_cell(what, value) for what, value in taken.items())] for mode, taken in found.items()]
    text = "For each file with one dataset more: CPU, by psutil, of the worker and the servers; requests of the worker."
    return Section("What a file takes, direct", ["mode", *found["link"]], rows, text)


def _cell(what: str, value: float) -> str:
    return f"{value:.1f}" if what in (REQUESTS, ASKED) else f"{1000 * value:.1f} ms"


def _pods(found: dict[str, dict[str, float]]) -> Section:
    """A pod has one CPU for its workers; a node of HSDS is one process, and has one, too."""
    rows = []
    for pods in PODS:
        cells = []
        for taken in found.values():
            limits = {WORKER: pods / taken[WORKER]} | {node: 1 / taken[node] for node in (SERVICE_NODE, DATA_NODE)}
            bound = min(limits, key=limits.__getitem__)
            cells += [f"{limits[bound]:.0f}", bound, f"{limits[bound] * taken[REQUESTS]:.0f}"]
        rows.append([str(pods), *cells])
    head = ["pods", *(f"{mode}, {what}" for mode in found for what in ("files/s", "bound by", "requests/s of S3"))]
    text = (
        "Calculated of the table before, for files with one dataset: pods with one cpu for their workers, and one HSDS "
        "of the cluster with one data node, which serves the inventory. Near linear, until that node is full; "
        "S3 itself takes thousands of requests a second."
    )
    return Section("Pods, direct, by calculation", head, rows, text)
