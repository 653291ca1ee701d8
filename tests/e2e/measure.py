"""The most memory that each container's processes hold while a 300 MB file is loaded and checked, both ways."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from tests.e2e.common import APPS, Failed, deployment, wait
from tests.e2e.job import USER, Desk
from tests.e2e.podman import podman


def measure(desk: Desk) -> None:
    rng = np.random.default_rng(0)
    path = desk.folder / "big.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("chunked", data=rng.random((1200, 128, 128)), chunks=(1, 128, 128))
        values = rng.integers(0, 1000, (600, 256, 256), dtype="i4")
        file.create_dataset("gzip", data=values, chunks=(4, 256, 256), compression="gzip", compression_opts=1)
        file.create_dataset("contiguous", data=rng.random((1024, 8192)))
    desk.s3().create_bucket(Bucket="big")
    desk.s3().upload_file(str(path), "big", "big.h5")
    megabytes = path.stat().st_size / 1e6
    path.unlink()
    print(f"\nmemory in MB, of a file of {megabytes:.0f} MB (in brackets: the limit)")
    for link in (True, False):
        folder = f"/home/{USER}/big-{'link' if link else 'ingest'}/"
        domain = f"{folder}i.h5"
        desk.write_config(src_bucket="big", tgt_folder=folder, link_files=link, inventory_domain=domain)
        desk.store(quiet=True)
        desk.make_inventory(folder)
        desk.scale("watch", 1)
        wait("the watcher", lambda: len(desk.rows()) == 1, 60)
        for role, end in (("load", "loaded"), ("diff", "verified")):
            _measure(desk, role, end, link)
        desk.scale("watch", 0)


def _measure(desk: Desk, role: str, end: str, link: bool) -> None:
    desk.scale(role, 1)
    (pod,) = desk.place.pods(APPS[role])
    peaks: dict[str, float] = {}
    began = time.monotonic()

    def there() -> bool:
        _sample(pod, role, peaks)
        return desk.rows()[0]["state"] in (end, "load failed", "check failed")

    try:
        wait(f"{role} of the big file", there, 600)
    finally:
        print(f"  {role} {'link' if link else 'ingest'}: {_shown(pod, role, peaks)}; {time.monotonic() - began:.0f} s")
    row = desk.rows()[0]
    if row["state"] != end or row[f"{role}attempts"] != 1:
        raise Failed(f"{role} of the big file: {row}")
    desk.scale(role, 0)


def _shown(pod: str, role: str, peaks: dict[str, float]) -> str:
    spec = deployment(role)["spec"]["template"]["spec"]
    parts = []
    for container in (*spec["initContainers"], *spec["containers"]):
        name = container["name"]
        restarts = podman("inspect", "--format={{.RestartCount}} {{.State.OOMKilled}}", f"{pod}-{name}").strip()
        died = "" if restarts == "0 false" else f" RESTARTED OR KILLED ({restarts})"
        parts.append(f"{name} {peaks.get(name, 0):.0f} ({container['resources']['limits']['memory']}){died}")
    return ", ".join(parts)


def _sample(pod: str, role: str, peaks: dict[str, float]) -> None:
    """For two seconds, look at the memory of a pod's containers."""
    for _ in range(10):
        for container in ("dn", "sn", role):
            first = podman("inspect", "--format={{.State.Pid}}", f"{pod}-{container}").strip()
            held = sum(map(resident, family(int(first)))) / 1e6
            peaks[container] = max(peaks.get(container, 0), held)
        time.sleep(0.2)


def family(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            yield from family(int(child))


def resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
