"""What a test needs of the world: a bucket and folders of its own, and the scripts as processes."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from bucket_loader import config as config_module
from bucket_loader.config import Config
from bucket_loader.deploy.hsds_config import FOR_LOADING
from bucket_loader.hsds import Hsds
from bucket_loader.inventory.claims import Inventory, open_inventory
from bucket_loader.local.servers import OWN_HSDS, POD_SETTINGS, HsdsServer, S3Server, base_env, started
from bucket_loader.report.rows import json_line
from bucket_loader.s3 import Source, SourceObject
from bucket_loader.storage.target import Target
from bucket_loader.watch.command import watch
from bucket_loader.watch.leftovers import Leftovers

ROOT = Path(__file__).resolve().parent.parent
USER, PASSWORD = "admin", "not-a-secret"
TARGET = "target"  # the bucket of every HSDS


@dataclass
class Servers:
    root: Path
    s3: S3Server
    cluster: HsdsServer
    pod: HsdsServer
    checker: HsdsServer  # of the differs: what it reads comes from storage, not from the memory of the load

    @classmethod
    @contextmanager
    def started(
        cls, root: Path, cluster_hsds: str = OWN_HSDS, pod_hsds: str = OWN_HSDS, quick: bool = True
    ) -> Iterator[Servers]:
        """All of them, with these versions of HSDS as the cluster's and as the pods'.

        A `quick` cluster keeps its clients of S3 and writes at once, as the pods do. One that somebody else has
        started makes a new client for each call, and a flush waits for a second or two.
        """
        users = {USER: PASSWORD}
        readers = users | {"reader": "reader-word"}
        with S3Server(root) as s3:
            s3.make_bucket(TARGET)
            settings = FOR_LOADING if quick else None
            cluster = HsdsServer(root, s3, TARGET, readers, "cluster", settings, 1, cluster_hsds, keeps_clients=quick)
            pod, checker = (
                HsdsServer(root, s3, TARGET, users, name, POD_SETTINGS, version=pod_hsds) for name in ("pod", "checker")
            )
            with started(cluster, pod, checker):
                yield cls(root, s3, cluster, pod, checker)


@dataclass
class World:
    servers: Servers
    bucket: str
    folder: str
    inventory_domain: str
    settings: dict[str, object] = field(default_factory=dict)

    @classmethod
    def make(cls, servers: Servers, test: str) -> World:
        name = re.sub(r"[^a-z0-9]+", "-", test.lower()).strip("-")[:30].strip("-")
        name = f"{name}-{hashlib.sha1(test.encode()).hexdigest()[:6]}"
        servers.s3.make_bucket(name)
        world = cls(servers, name, f"/home/{USER}/{name}/", f"/home/{USER}/{name}-inventory.h5")
        world.cluster.make_folders(world.folder)
        return world

    @property
    def cluster(self) -> Hsds:
        return Hsds(self.servers.cluster.endpoint, USER, PASSWORD)

    @property
    def pod(self) -> Hsds:
        return Hsds(self.servers.pod.endpoint, USER, PASSWORD)

    def env(self) -> dict[str, str]:
        env = base_env() | self.servers.s3.env()
        env |= {
            "SRC_BUCKET": self.bucket,
            "SRC_SUFFIX": "null",
            "TGT_FOLDER": self.folder,
            "INVENTORY_DOMAIN": self.inventory_domain,
            "HSDS_ENDPOINT": self.servers.cluster.endpoint,
            "HSDS_LOCAL": self.servers.pod.endpoint,
            "HS_USERNAME": USER,
            "HS_PASSWORD": PASSWORD,
            "AWS_S3_GATEWAY": self.servers.s3.endpoint,
            "CONFIG_DIR": str(self._config_dir()),
            "POD_NAME": "pod-1",
            "WATCHDOG_SLEEP_TIME": "1",
            "RETRY_PAUSE": "0",
            "WORKERS": "1",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONUNBUFFERED": "1",
        }
        return env | {key.upper(): str(value) for key, value in self.settings.items()}

    def _env_of(self, script: str, env: Mapping[str, str] | None) -> dict[str, str]:
        own = {"HSDS_LOCAL": self.servers.checker.endpoint} if script == "differ.py" else {}
        if "hsds_local" in self.settings:
            own = {}
        return self.env() | own | dict(env or {})

    def _config_dir(self) -> Path:
        folder = self.servers.root / "no-config"
        folder.mkdir(exist_ok=True)
        (folder / "config.yml").touch()
        return folder

    def config(self, **settings: object) -> Config:
        env = self.env() | {key.upper(): str(value) for key, value in settings.items()}
        parser = config_module.argparse.ArgumentParser()
        config_module.add_options(parser)
        return config_module.load(parser.parse_args([]), env)

    # -- the source ---------------------------------------------------------------------------------------------------

    def put(self, key: str, body: bytes | Path) -> None:
        data = body.read_bytes() if isinstance(body, Path) else body
        self.servers.s3.client().put_object(Bucket=self.bucket, Key=key, Body=data)

    def source_of(self, key: str) -> SourceObject:
        """An object of the bucket, as the watcher sees it."""
        head = self.servers.s3.client().head_object(Bucket=self.bucket, Key=key)
        return SourceObject(key, head["ContentLength"], head["ETag"].strip('"'), int(head["LastModified"].timestamp()))

    def delete(self, key: str) -> None:
        self.servers.s3.client().delete_object(Bucket=self.bucket, Key=key)

    # -- the bucket of HSDS -------------------------------------------------------------------------------------------

    def target_keys(self, prefix: str = "db/") -> set[str]:
        pages = self.servers.s3.client().get_paginator("list_objects_v2").paginate(Bucket=TARGET, Prefix=prefix)
        return {entry["Key"] for page in pages for entry in page.get("Contents", [])}

    def leftovers(self) -> Leftovers:
        """What the watcher deletes with; the store's keys have to be in this process's environment."""
        config = self.config()
        return Leftovers(open_inventory(config), Target(Source(config), TARGET), config.domains)

    # -- the programs -------------------------------------------------------------------------------------------------

    def run(
        self,
        script: str,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        timeout: float = 120,
        stdin: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a script to its end. No test may see a stack trace: no user may."""
        done = subprocess.run(
            [sys.executable, str(ROOT / script), *arguments],
            env=self._env_of(script, env),
            cwd=self.servers.root,
            input=stdin or "",
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        assert "Traceback" not in done.stdout + done.stderr, done.stdout + done.stderr
        return done

    def ok(self, script: str, *arguments: str, timeout: float = 120) -> str:
        done = self.run(script, *arguments, timeout=timeout)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def running(
        self, script: str, *arguments: str, env: Mapping[str, str] | None = None
    ) -> Iterator[subprocess.Popen[str]]:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / script), *arguments],
            env=self._env_of(script, env),
            cwd=self.servers.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.communicate()

    # -- the inventory ------------------------------------------------------------------------------------------------

    def make_inventory(self) -> Inventory:
        return Inventory.create(self.cluster, self.inventory_domain, public=False)

    def scan(self) -> None:
        """What `watcher.py --once` does, without the second that a script takes to start."""
        with mock.patch.dict(os.environ, self.servers.s3.env()):
            assert watch(Namespace(once=True), self.config()) == 0

    def inventory(self) -> Inventory:
        return Inventory.open(self.cluster, self.inventory_domain)

    def rows(self) -> dict[str, dict[str, Any]]:
        """The rows as `dump_inventory.py --json` shows them, by key."""
        found = [json.loads(json_line(row)) for row in self.inventory().rows()]
        by_key = {row["filename"]: row for row in found}
        assert len(by_key) == len(found), "a key has two rows"
        return by_key
