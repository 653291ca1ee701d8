"""Surveys: what becomes of HDF5 files on the whole way, with real servers on this machine and the real scripts.

Into a bucket, through a loader into HSDS, past a differ.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np

from ..config import Engine
from ..hsds import Hsds
from ..verify import Domain, verify
from .demo import ROOT
from .servers import LOADER_SETTINGS, OWN_HSDS, POD_SETTINGS, HsdsServer, S3Server, ServerFailed

USER = "admin"
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

    def __init__(
        self,
        root: Path,
        s3: S3Server,
        cluster: HsdsServer,
        pod: HsdsServer,
        fresh: HsdsServer,
        password: str,
        engine: Engine,
    ) -> None:
        self._root, self._s3, self._password, self._engine = root, s3, password, engine
        self._cluster, self._pod, self._fresh = cluster, pod, fresh
        self._surveys = 0

    @classmethod
    @contextmanager
    def started(
        cls, cluster_hsds: str = OWN_HSDS, pod_hsds: str = OWN_HSDS, engine: Engine = "auto"
    ) -> Iterator[Surveyor]:
        """With these versions of HSDS as the cluster's and as the pods', and files that are loaded by an engine."""
        password = secrets.token_urlsafe(12)
        with tempfile.TemporaryDirectory(prefix="hsds-survey-") as folder:
            root = Path(folder)
            with S3Server(root) as s3:
                s3.make_bucket("target")
                login = {USER: password}
                with (
                    HsdsServer(root, s3, "target", login, "cluster", version=cluster_hsds) as cluster,
                    HsdsServer(root, s3, "target", login, "pod", LOADER_SETTINGS, version=pod_hsds) as pod,
                    HsdsServer(root, s3, "target", login, "fresh", POD_SETTINGS, version=pod_hsds) as fresh,
                ):
                    yield cls(root, s3, cluster, pod, fresh, password, engine)

    def survey(
        self, files: Mapping[str, Path], link: bool, time_limit: int, inspect: Inspect | None = None
    ) -> list[Found]:
        """Load and check files, given by key, in one mode. Raises ServerFailed when a script fails."""
        self._surveys += 1
        bucket, folder = f"source-{self._surveys}", f"/home/{USER}/{self._surveys}/"
        self._s3.make_bucket(bucket)
        client = self._s3.client()
        for key, path in files.items():
            client.upload_file(str(path), bucket, key)
        Hsds(self._cluster.endpoint, USER, self._password).make_folders(folder)
        env = self._env(bucket, folder, link, time_limit)
        for script, *arguments in (
            ("make_inventory.py",),
            ("watcher.py", "--once"),
            ("loader.py", "--drain"),
            ("differ.py", "--drain"),
        ):
            own = {"HSDS_LOCAL": self._fresh.endpoint} if script == "differ.py" else {}
            self._call(script, arguments, env | own)
        rows = [json.loads(line) for line in self._call("dump_inventory.py", ["--json"], env).splitlines()]
        found = []
        for row in sorted(rows, key=lambda row: str(row["filename"]).lower()):
            name, state = row["filename"], row["state"]
            reason = row["loadreason"] or row["diffresult"]
            item = Found(name, state, row["loadmode"], row["loadengine"], reason)
            if item.is_verified:
                item.notes = self._notes(files[name], folder + name)
                if inspect:
                    inspect(files[name], folder + name, self._fresh, self._password)
            found.append(item)
        return found

    def _env(self, bucket: str, folder: str, link: bool, time_limit: int) -> dict[str, str]:
        config = self._root / f"config-{self._surveys}"
        config.mkdir()
        (config / "config.yml").touch()
        foreign = ("AWS_", "HS_", "FSSPEC")
        env = {key: value for key, value in os.environ.items() if not key.startswith(foreign)} | self._s3.env()
        return env | {
            "CONFIG_DIR": str(config),
            "SRC_BUCKET": bucket,
            "SRC_SUFFIX": "null",
            "TGT_BUCKET": "target",
            "LOAD_ENGINE": self._engine,
            "TGT_FOLDER": folder,
            "INVENTORY_DOMAIN": f"/home/{USER}/inventory-{self._surveys}.h5",
            "HSDS_ENDPOINT": self._cluster.endpoint,
            "HSDS_LOCAL": self._pod.endpoint,
            "HS_USERNAME": USER,
            "HS_PASSWORD": self._password,
            "AWS_S3_GATEWAY": self._s3.endpoint,
            "LINK_FILES": str(link),
            "LOAD_TIME_LIMIT": str(time_limit),
            "DIFF_TIME_LIMIT": str(time_limit),
            "MAX_ATTEMPTS": "2",
            "RETRY_PAUSE": "1",
            "WATCHDOG_SLEEP_TIME": "1",
            "WORKERS": "2",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        }

    @staticmethod
    def _call(script: str, arguments: Sequence[str], env: Mapping[str, str]) -> str:
        done = subprocess.run(
            [sys.executable, str(ROOT / script), *arguments], env=env, cwd=ROOT, capture_output=True, text=True
        )
        if done.returncode:
            raise ServerFailed(f"{script} ended with status {done.returncode}:\n{done.stderr[-2000:]}")
        return done.stdout

    def _notes(self, path: Path, domain: str) -> Counter[str]:
        # as the loader reads it: by its path, HDF5 refuses a file whose writer did not close it
        with (
            Domain(Hsds(self._fresh.endpoint, USER, self._password), domain) as opened,
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
