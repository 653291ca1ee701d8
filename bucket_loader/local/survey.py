"""Surveys: what becomes of HDF5 files on the whole way, with real servers on this machine and the real scripts.

Into a bucket, through a loader into HSDS, past a differ.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np

from ..config import Engine
from ..hsds import Hsds
from ..verify import Domain, verify
from .servers import OWN_HSDS, HsdsServer
from .site import USER, Pods, Site

VERIFIED = "verified"
# what a reader of the result may do with a verified domain: its path and the server that has it
Inspect = Callable[[Path, str, HsdsServer, str], None]


@dataclass
class Found:
    """What became of a file: the row's state, the mode and engine of its load, the reason.

    `notes` are those of a verified one, by kind.
    """

    name: str
    state: str
    mode: str
    engine: str
    reason: str
    notes: Counter[str] = field(default_factory=Counter)

    @property
    def is_verified(self) -> bool:
        return self.state == VERIFIED


class Surveyor:
    """Servers and a login, for as many surveys as wanted. What is checked is read by an HSDS that loads nothing."""

    def __init__(self, site: Site, engine: Engine) -> None:
        self._site, self._engine = site, engine
        self._surveys = 0

    @classmethod
    @contextmanager
    def started(
        cls, cluster_hsds: str = OWN_HSDS, pod_hsds: str = OWN_HSDS, engine: Engine = "auto"
    ) -> Iterator[Surveyor]:
        """With these versions of HSDS as the cluster's and as the pods', and files that are loaded by an engine."""
        with Site.started(cluster_hsds, pod_hsds) as site:
            yield cls(site, engine)

    def survey(
        self, files: Mapping[str, Path], link: bool, time_limit: int, inspect: Inspect | None = None
    ) -> list[Found]:
        """Load and check files, given by key, in one mode. Raises ServerFailed when a script fails."""
        self._surveys += 1
        bucket, folder = f"source-{self._surveys}", f"/home/{USER}/{self._surveys}/"
        self._site.s3.make_bucket(bucket)
        client = self._site.s3.client()
        for key, path in files.items():
            client.upload_file(str(path), bucket, key)
        self._site.hsds().make_folders(folder)
        with Pods(self._site.folder, self._env(bucket, folder, link, time_limit)) as pods:
            call = partial(pods.call, time_limit=None)  # the files have limits of their own
            call("make_inventory.py")
            call("watcher.py", "--once")
            call("loader.py", "--drain")
            call("differ.py", "--drain", HSDS_LOCAL=self._site.differ.endpoint)
            rows = [json.loads(line) for line in call("dump_inventory.py", "--json").splitlines()]
        found = []
        for row in sorted(rows, key=lambda row: str(row["filename"]).lower()):
            name, state = row["filename"], row["state"]
            reason = row["loadreason"] or row["diffresult"]
            item = Found(name, state, row["loadmode"], row["loadengine"], reason)
            if item.is_verified:
                item.notes = self._notes(files[name], folder + name)
                if inspect:
                    inspect(files[name], folder + name, self._site.differ, self._site.password)
            found.append(item)
        return found

    def _env(self, bucket: str, folder: str, link: bool, time_limit: int) -> dict[str, str]:
        return self._site.environment(
            SRC_BUCKET=bucket,
            TGT_FOLDER=folder,
            LOAD_ENGINE=self._engine,
            INVENTORY_DOMAIN=f"/home/{USER}/inventory-{self._surveys}.h5",
            LINK_FILES=str(link),
            LOAD_TIME_LIMIT=str(time_limit),
            DIFF_TIME_LIMIT=str(time_limit),
            MAX_ATTEMPTS="2",
            RETRY_PAUSE="1",
            WATCHDOG_SLEEP_TIME="1",
            WORKERS="2",
        )

    def _notes(self, path: Path, domain: str) -> Counter[str]:
        # as the loader reads it: by its path, HDF5 refuses a file whose writer did not close it
        with (
            Domain(Hsds(self._site.differ.endpoint, USER, self._site.password), domain) as opened,
            path.open("rb") as stream,
            h5py.File(stream, "r") as source,
        ):
            notes = verify(source, opened).notes
        return Counter(note.split(": ", 2)[1].split(" member ")[0] for note in notes)


def filter_files(folder: Path) -> dict[str, Path]:
    """A file with 2,000 numbers in four chunks for each filter; its key is what it is called on the page."""
    options: dict[str, Mapping[str, object]] = {
        "none": {},
        "gzip": {"compression": "gzip"},
        "shuffle": {"shuffle": True},
        "shuffle and gzip": {"shuffle": True, "compression": "gzip"},
        "fletcher32": {"fletcher32": True},
        "gzip and fletcher32": {"compression": "gzip", "fletcher32": True},
        "lzf": {"compression": "lzf"},
        "szip": {"compression": "szip"},
        "scale-offset, lossless": {"scaleoffset": 0},
        "scale-offset, 12 bits": {"scaleoffset": 12},
        "lz4": hdf5plugin.LZ4(),
        "zstd": hdf5plugin.Zstd(),
        "bitshuffle": hdf5plugin.Bitshuffle(cname="none"),
        "bitshuffle and lz4": hdf5plugin.Bitshuffle(),
        "bitshuffle and zstd": hdf5plugin.Bitshuffle(cname="zstd"),
        "blosc": hdf5plugin.Blosc(),
        "blosc2": hdf5plugin.Blosc2(),
        "bzip2": hdf5plugin.BZip2(),
    }
    files = {}
    for name, given in options.items():
        files[name] = folder / f"{name}.h5"
        with h5py.File(files[name], "w") as file:
            file.create_dataset("data", data=np.arange(2000, dtype="i4"), chunks=(500,), **dict(given))
    return files
