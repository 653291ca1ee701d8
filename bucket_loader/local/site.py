"""All that a bucket takes to be loaded, on this machine: servers, and the scripts as processes."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..hsds import Hsds
from .servers import LOADER_SETTINGS, POD_SETTINGS, HsdsServer, S3Server, ServerFailed, base_env, started

ROOT = Path(__file__).resolve().parent.parent.parent  # where the scripts are
USER, FOLDER, INVENTORY = "admin", "/home/admin/demo/", "/home/admin/inventory.h5"


@dataclass(frozen=True)
class Site:
    """Servers for the whole way, on temporary storage: S3, the cluster's HSDS, a loader's own and a differ's."""

    folder: Path
    s3: S3Server
    cluster: HsdsServer
    loader: HsdsServer
    differ: HsdsServer
    password: str

    @classmethod
    @contextmanager
    def started(cls, cluster_hsds: str, pod_hsds: str) -> Iterator[Site]:
        """With these versions of HSDS, and the buckets "source" and "target"."""
        password = secrets.token_urlsafe(12)
        with tempfile.TemporaryDirectory(prefix="hsds-site-") as made, S3Server(Path(made)) as s3:
            folder = Path(made)
            (folder / "config").mkdir()
            (folder / "config" / "config.yml").write_text(
                f"src_bucket: source\nsrc_suffix: null\ntgt_folder: {FOLDER}\ninventory_domain: {INVENTORY}\n"
                "tgt_bucket: target\nwatchdog_sleep_time: 2\nretry_pause: 5\n"
            )
            for bucket in ("source", "target"):
                s3.make_bucket(bucket)
            cluster = HsdsServer(folder, s3, "target", {USER: password}, "cluster", version=cluster_hsds)
            loader, differ = (
                HsdsServer(folder, s3, "target", {USER: password}, name, settings, version=pod_hsds)
                for name, settings in (("loader", LOADER_SETTINGS), ("differ", POD_SETTINGS))
            )
            with started(cluster, loader, differ):
                yield cls(folder, s3, cluster, loader, differ, password)

    def hsds(self) -> Hsds:
        """A client of the cluster's."""
        return Hsds(self.cluster.endpoint, USER, self.password)

    def environment(self, **settings: str) -> dict[str, str]:
        """What the scripts are started with; `settings` win over those of the demo."""
        return {
            **base_env(),
            **self.s3.env(),
            "CONFIG_DIR": str(self.folder / "config"),
            "HSDS_ENDPOINT": self.cluster.endpoint,
            "HSDS_LOCAL": self.loader.endpoint,
            "HS_USERNAME": USER,
            "HS_PASSWORD": self.password,
            "AWS_S3_GATEWAY": self.s3.endpoint,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
            "PYTHONUNBUFFERED": "1",
            **settings,
        }


class Pods:
    """The scripts as processes, each with a log of its own; all are stopped at the end."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self._folder, self._env = folder, env
        self._running: list[subprocess.Popen[bytes]] = []

    def call(self, script: str, *arguments: str, time_limit: float | None = 120, **settings: str) -> str:
        """Run a script to its end and give back what it printed. Raises ServerFailed when it fails."""
        command = [sys.executable, str(ROOT / script), *arguments]
        env = self._env | settings
        done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=time_limit)
        if done.returncode:
            raise ServerFailed(f"{script} ended with status {done.returncode}:\n{done.stderr[-2000:]}")
        return done.stdout

    def start(self, script: str, name: str, **settings: str) -> None:
        with (self._folder / f"{name}.log").open("wb") as log:
            self._running.append(
                subprocess.Popen(
                    [sys.executable, str(ROOT / script)],
                    env=self._env | {"POD_NAME": name} | settings,
                    cwd=ROOT,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            )

    def check(self) -> None:
        """Raise ServerFailed when one ended by itself."""
        for process in self._running:
            if process.poll() is not None:
                logs = sorted(self._folder.glob("*.log"))
                ends = "\n".join(f"{log.name}: {log.read_text()[-1000:]}" for log in logs)
                raise ServerFailed(f"a pod ended by itself with status {process.returncode}\n{ends}")

    def __enter__(self) -> Pods:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._running:
            process.send_signal(signal.SIGTERM)
        for process in self._running:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM unwind the stack like Ctrl-C, so that every server is stopped."""

    def handler(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
