"""`make demo`: the whole job on this machine, with real servers, real files and the real scripts as processes.

An S3 server, the cluster's HSDS, and a loader's and a differ's own run on temporary storage. A bucket is filled, then
make_inventory, a watcher, loaders and a differ work until every row is finished.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from .. import progress
from ..config import ENGINES
from ..inventory.claims import Inventory
from ..inventory.states import State
from ..log import printable
from ..report.summary import Summary, summarize
from ..report.terminal import summary_table
from ..report.words import amount, duration
from .servers import HSDS_VERSIONS, OWN_HSDS, S3Server, ServerFailed
from .site import FOLDER, INVENTORY, Pods, Site, terminable

SUFFIXES = (".h5", ".hdf5", ".hdf", ".he5", ".nc", ".nxs")
LOADERS = 2


def sample_files(folder: Path) -> None:
    """Six files as they come: a data cube, a table, an image, a time series with gaps, labels, a tree of groups."""
    random = np.random.default_rng(2021)
    with h5py.File(folder / "climate" / "surface_temperature.h5", "w") as file:
        cube = random.normal(288, 5, (12, 90, 180)).astype("f4")
        data = file.create_dataset("tas", data=cube, chunks=(1, 90, 180), compression="gzip", shuffle=True)
        data.attrs["units"] = "K"
        for axis, values in enumerate((np.arange(12), np.linspace(-89, 89, 90), np.linspace(1, 359, 180))):
            name = ("month", "lat", "lon")[axis]
            file[name] = values
            file[name].make_scale(name)
            data.dims[axis].attach_scale(file[name])
    with h5py.File(folder / "detector" / "events.h5", "w") as file:
        events = np.zeros(20_000, [("time", "f8"), ("channel", "i4"), ("energy", "f4")])
        events["time"], events["energy"] = np.sort(random.random(20_000)), random.exponential(3, 20_000)
        events["channel"] = random.integers(0, 512, 20_000)
        file.create_dataset("events", data=events, chunks=(5_000,))
    with h5py.File(folder / "detector" / "image.h5", "w") as file:
        file["image"] = random.integers(0, 4096, (512, 512), dtype="u2")  # contiguous
        file["image"].attrs["exposure"] = 0.25
    with h5py.File(folder / "buoy.h5", "w") as file:
        waves = random.normal(1.5, 0.3, 2_000)
        file.create_dataset("height", data=waves, chunks=(500,), fillvalue=-1.0)
        file["height"].attrs["long_name"] = "significant wave height"
    with h5py.File(folder / "labels.h5", "w") as file:
        file["names"] = np.array([b"alpha", b"beta", b"gamma"], "S8")
        file.attrs["title"] = "Zürich, 2021"
    with h5py.File(folder / "runs.h5", "w") as file:
        for run in range(4):
            group = file.create_group(f"run{run:02}")
            group.attrs["number"] = run
            group["counts"] = random.integers(0, 100, 64)
        file["latest"] = h5py.SoftLink("/run03")


def fill_bucket(s3: S3Server, bucket: str, folder: Path, console: Console) -> int:
    """Upload a folder's HDF5 files under their paths below it; returns how many."""
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    client = s3.client()
    total = sum(path.stat().st_size for path in files)
    for path in progress.bar(files, f"uploading {len(files)} files, {amount(total)}", len(files), console):
        client.upload_file(str(path), bucket, path.relative_to(folder).as_posix())
    console.print(f"bucket [bold]{bucket}[/] holds {len(files)} files, {amount(total)}")
    return len(files)


def run(files: Path | None, console: Console, cluster_hsds: str, pod_hsds: str, engine: str) -> int:
    """Do the whole job and show it; the exit status is 0 when every file is verified.

    `cluster_hsds` and `pod_hsds` are versions, `engine` is a `load_engine`.
    """
    began = time.monotonic()
    console.print(
        f"starting an S3 server, the cluster's HSDS {cluster_hsds}, and a loader's and a differ's own {pod_hsds}"
    )
    with Site.started(cluster_hsds, pod_hsds) as site:
        if files is None:
            files = site.folder / "samples"
            for name in ("climate", "detector"):
                (files / name).mkdir(parents=True)
            sample_files(files)
        if not fill_bucket(site.s3, "source", files, console):
            console.print(f"there are no files {', '.join('*' + suffix for suffix in SUFFIXES)} in {files}")
            return 2
        inventory, summary = _work(site, engine, console)
        _show(inventory, summary, console)
    verified = summary.counts[State.VERIFIED]
    good = verified == summary.rows
    console.print()
    words = (
        f"all {verified} files are loaded and verified" if good else f"{verified} of {summary.rows} files are verified"
    )
    console.print(f"[bold {'green' if good else 'red'}]{words}[/] in {time.monotonic() - began:.0f} s")
    console.print(NEXT, markup=False, highlight=False, soft_wrap=True)
    return 0 if good else 1


def _work(site: Site, engine: str, console: Console) -> tuple[Inventory, Summary]:
    """Make the inventory, and let the pods work until every row is finished."""
    hsds = site.hsds()
    hsds.make_folders(FOLDER)
    with Pods(site.folder, site.environment(LOAD_ENGINE=engine)) as pods:
        console.print(pods.call("make_inventory.py").splitlines()[0])
        pods.start("watcher.py", "watcher")
        for number in range(LOADERS):
            pods.start("loader.py", f"loader-{number}")
        # what it reads comes from storage: the loader's HSDS would answer from memory
        pods.start("differ.py", "differ-0", HSDS_LOCAL=site.differ.endpoint)
        inventory = Inventory.open(hsds, INVENTORY)
        return inventory, _follow(inventory, pods, console)


def _show(inventory: Inventory, summary: Summary, console: Console) -> None:
    """What became of each file."""
    console.print()
    console.print(summary_table(summary, INVENTORY))
    for row in inventory.rows():
        reason = row.loadreason if row.state is State.LOAD_FAILED else row.diffresult
        took = f"{row.loadengine} {duration(row.loaddone - row.loadstart)}"
        line = f"  {row.state.label:<13} {row.filename:<36} {took:<10} {row.loadpodname}  {reason}"
        console.print(printable(line), markup=False, soft_wrap=True)


def _follow(inventory: Inventory, pods: Pods, console: Console) -> Summary:
    """Show the progress until every row is finished."""
    columns = (TextColumn("{task.description:<8}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bars:
        loads, checks = bars.add_task("loaded"), bars.add_task("verified")
        while True:
            pods.check()
            summary = summarize(inventory)
            bars.update(loads, total=summary.rows or None, completed=summary.rows - summary.unloaded)
            bars.update(checks, total=summary.rows or None, completed=summary.rows - summary.unchecked)
            if summary.finished:
                return summary
            time.sleep(0.5)


NEXT = """
The same with your own files:    make demo FILES=/path/to/folder
The same on your cluster:
  1. edit config.yml             (bucket, folder, HSDS endpoint, S3 endpoint)
  2. HS_USERNAME=... HS_PASSWORD=... ./k8s_make_secrets.sh
  3. ./make_configmap.sh
  4. HSDS_ENDPOINT=https://your-hsds .venv/bin/python make_inventory.py
  5. kubectl apply -f k8s_watch_deployment.yml -f k8s_load_deployment.yml -f k8s_diff_deployment.yml
  6. kubectl scale --replicas=8 deployment/hsds-bucket-loader
  7. HSDS_ENDPOINT=https://your-hsds .venv/bin/python dump_inventory.py --watch"""


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("files", nargs="?", type=Path, help="a folder with HDF5 files (default: six samples)")
    for of, what in (("hsds", "cluster's HSDS"), ("pod-hsds", "pods' own HSDS")):
        parser.add_argument(
            f"--{of}", choices=HSDS_VERSIONS, default=OWN_HSDS, help=f"the version of the {what} (default: {OWN_HSDS})"
        )
    parser.add_argument("--engine", choices=ENGINES, default="auto", help="load_engine (default: auto)")
    options = parser.parse_args(argv)
    console = Console()
    if options.files is not None and not options.files.is_dir():
        print(f"make demo: FILES={options.files} is not a folder", file=sys.stderr)
        return 2
    try:
        with terminable():
            return run(options.files, console, options.hsds, options.pod_hsds, options.engine)
    except ServerFailed as error:
        print(f"make demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
