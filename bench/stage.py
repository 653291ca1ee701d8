"""Where loads are measured: an S3 server, a cluster's HSDS, a pod's HSDS, files, and two ways to load them."""

from __future__ import annotations

import io
import itertools
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from bench.far import far
from bucket_loader.hsds import Hsds
from bucket_loader.inventory.claims import Inventory
from bucket_loader.inventory.states import State
from bucket_loader.local.servers import LOADER_SETTINGS, POD_SETTINGS, HsdsServer, S3Server, base_env, started

ROOT = Path(__file__).resolve().parent.parent
USER, PASSWORD = "admin", "not-a-secret"
_NUMBERS = itertools.count()


def one_dataset(number: int) -> bytes:
    body = io.BytesIO()
    with h5py.File(body, "w") as file:
        file.create_dataset("data", data=np.arange(number, number + 1000.0), chunks=(500,))
    return body.getvalue()


def many_objects(number: int) -> bytes:
    """24 groups with a dataset and two attributes each."""
    body = io.BytesIO()
    with h5py.File(body, "w") as file:
        for place in range(24):
            group = file.create_group(f"group-{place}")
            group.attrs["number"], group.attrs["name"] = number, "a group"
            group["data"] = np.arange(number, number + 50)
    return body.getvalue()


def large(megabytes: int) -> bytes:
    """Chunks of 1 MB of numbers that no filter can shrink."""
    body = io.BytesIO()
    with h5py.File(body, "w") as file:
        numbers = np.random.default_rng(1).random((megabytes, 128 * 1024))
        file.create_dataset("data", data=numbers, chunks=(1, 128 * 1024))
    return body.getvalue()


@dataclass(frozen=True)
class Loaded:
    """What a loader did with a bucket: seconds of work, seconds before its first row, and its log."""

    seconds: float
    start: float
    log: list[dict[str, Any]]
    folder: str
    inventory: Inventory
    env: Mapping[str, str]  # with which it was loaded

    def seconds_of(self, key: str) -> float:
        """The load of one file."""
        return next(float(line["seconds"]) for line in self.log if line["event"] == "load ended" and line["key"] == key)


def _lines(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


def _time(line: dict[str, Any]) -> float:
    return datetime.fromisoformat(line["time"]).timestamp()


@dataclass
class Stage:
    root: Path
    s3: S3Server
    endpoint: str  # of S3, as loaders and HSDS reach it
    cluster: HsdsServer
    pod: HsdsServer
    checker: HsdsServer

    @property
    def hsds(self) -> Hsds:
        return Hsds(self.cluster.endpoint, USER, PASSWORD)

    def bucket(self, name: str, bodies: Mapping[str, bytes]) -> str:
        self.s3.make_bucket(name)
        for key, body in bodies.items():
            self.s3.client().put_object(Bucket=name, Key=key, Body=body)
        return name

    def env(self) -> dict[str, str]:
        return (
            base_env()
            | self.s3.env()
            | {
                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
                "HS_USERNAME": USER,
                "HS_PASSWORD": PASSWORD,
                "PYTHONWARNINGS": "ignore",
            }
        )

    def load_all(self, bucket: str, count: int, link: bool, workers: int, **settings: object) -> Loaded:
        """Load a bucket with the loader, from the first row that begins to the last one that ends."""
        folder = f"/home/{USER}/ours-{next(_NUMBERS)}/"
        self.hsds.make_folders(folder)
        values = {
            "src_bucket": bucket,
            "src_suffix": "null",
            "tgt_folder": folder,
            "inventory_domain": f"{folder}inventory.h5",
            "hsds_endpoint": self.cluster.endpoint,
            "hsds_local": self.pod.endpoint,
            "aws_s3_gateway": self.endpoint,
            "link_files": link,
            "workers": workers,
            "watchdog_sleep_time": 0.5,
            "config_dir": self.root / "config",
            "log_level": "DEBUG",
            "log_format": "json",
        } | settings
        env = self.env() | {key.upper(): str(value) for key, value in values.items()}
        inventory = Inventory.create(self.hsds, f"{folder}inventory.h5", public=False)
        self._run([sys.executable, str(ROOT / "watcher.py"), "--once"], env)
        began = time.time()
        output = self._run([sys.executable, str(ROOT / "loader.py"), "--drain"], env)
        assert inventory.counts()[State.LOADED] == count, inventory.counts()
        log = _lines(output)
        first = min(_time(line) for line in log if line["event"] == "load begins")
        last = max(_time(line) for line in log if line["event"] == "load ended")
        return Loaded(last - first, first - began, log, folder, inventory, env)

    def check_again(self, loaded: Loaded) -> float:
        """Check what is loaded, with the differ; seconds from its first row to its last."""
        for row in loaded.inventory.rows():
            assert row.state is State.LOADED or loaded.inventory.put_back(row, State.LOADED)
        env = loaded.env | {"HSDS_LOCAL": self.checker.endpoint}
        log = _lines(self._run([sys.executable, str(ROOT / "differ.py"), "--drain"], env))
        assert loaded.inventory.counts()[State.VERIFIED], log
        first = min(_time(line) for line in log if line["event"] == "check begins")
        return max(_time(line) for line in log if line["event"] == "check ended") - first

    def load_all_by_xargs(self, bucket: str, keys: list[str], link: bool, at_once: int) -> float:
        """The loop that a user would write, with hsload's own settings for the reads from S3."""
        folder = f"/home/{USER}/theirs-{next(_NUMBERS)}/"
        self.hsds.make_folders(folder)
        storage = f'{{"endpoint_url": "{self.s3.endpoint}"}}'
        env = self.env() | {"HS_ENDPOINT": self.pod.endpoint, "FSSPEC_S3": storage, "AWS_GATEWAY": self.s3.endpoint}
        words = f"hsload {'--link' if link else ''} s3://{bucket}/{{}} {folder}{{}}"
        began = time.monotonic()
        self._run(["xargs", "-P", str(at_once), "-I{}", *shlex.split(words)], env, "\n".join(keys))
        return time.monotonic() - began

    def _run(self, argv: list[str], env: Mapping[str, str], stdin: str = "") -> str:
        done = subprocess.run(argv, env=env, input=stdin, cwd=self.root, capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout


@contextmanager
def stage(
    settings: Mapping[str, object] = LOADER_SETTINGS, latency: float = 0.0, keeps_clients: bool = True
) -> Iterator[Stage]:
    """`latency`: seconds that each request of S3 takes longer; `keeps_clients`: the pods' HSDS does, as in a pod."""
    with (
        tempfile.TemporaryDirectory() as folder,
        # with ETags, this S3 server computes the MD5 of the whole object for each request
        S3Server(Path(folder), etags=False) as s3,
        far(s3.endpoint, latency) if latency else nullcontext(s3.endpoint) as endpoint,
    ):
        root, there, about = Path(folder), {"aws_s3_gateway": endpoint}, ("target", {USER: PASSWORD})
        (root / "config").mkdir()
        (root / "config" / "config.yml").touch()
        s3.make_bucket("target")
        cluster = HsdsServer(root, s3, *about, "cluster", there, keeps_clients=False)
        pod = HsdsServer(root, s3, *about, "pod", {**settings, **there}, keeps_clients=keeps_clients)
        checker = HsdsServer(root, s3, *about, "checker", POD_SETTINGS | there, keeps_clients=keeps_clients)
        with started(cluster, pod, checker):
            yield Stage(root, s3, endpoint, cluster, pod, checker)
