"""What both kinds of cluster share: running programs, saying what happens, reading our manifests."""

from __future__ import annotations

import copy
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import yaml

from bucket_loader import __version__

ROOT = Path(__file__).resolve().parent.parent.parent
IMAGE = f"hdfgroup/hsds-bucket-loader:{__version__}"
APPS = {"load": "hsds-bucket-loader", "diff": "hsds-bucket-diff", "watch": "hsds-bucket-watch"}
S3_APP, HSDS_APP = "hsds-e2e-s3", "hsds-e2e-cluster"

Manifest = dict[str, Any]
STARTED = time.monotonic()


class Skipped(Exception):
    """The machine cannot run this; the message says why."""


class Failed(Exception):
    """Something is not as it should be."""


class Place(Protocol):
    """Where the pods run. Addresses: of the S3 server and of the cluster's HSDS, for the pods and for this desktop."""

    s3_inside: str
    s3_outside: str
    hsds_inside: str
    hsds_outside: str
    script_options: tuple[str, ...]  # of k8s_make_secrets.sh and make_configmap.sh

    def script_env(self) -> dict[str, str]: ...
    def remove(self) -> None:
        """Remove what this or an earlier run made."""

    def begin(self) -> None: ...
    def start_s3(self, key: str, secret: str) -> None: ...
    def start_hsds(self) -> None: ...
    def apply(self, role: str) -> None: ...
    def scale(self, role: str, wanted: int) -> None: ...
    def pods(self, app: str) -> list[str]: ...
    def kill(self, pod: str) -> None:
        """Take a pod away without a warning."""

    def fresh(self, role: str) -> str:
        """A new pod that reads secrets and settings as they are now."""

    def drop(self, role: str, pod: str) -> None:
        """End such a pod."""

    def without_secret(self, role: str, name: str) -> str:
        """What the operator is told when a Secret is missing; empty where this place cannot show it."""

    def logs(self, pod: str, container: str) -> str: ...
    def execute(self, pod: str, container: str, *command: str, check: bool = True) -> str: ...
    def running(self, pod: str, container: str) -> bool: ...


def say(text: str) -> None:
    print(f"[{time.monotonic() - STARTED:5.0f} s] {text}", flush=True)


def run(*command: str, limit: float = 60, check: bool = True, **options: Any) -> str:
    """The output of a program, both streams; raises Failed when it fails and `check`."""
    try:
        done = subprocess.run(
            command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=limit, check=False, **options
        )
    except subprocess.TimeoutExpired as error:
        raise Failed(f"{' '.join(command[:4])} took more than {limit:.0f} s") from error
    if check and done.returncode:
        raise Failed(f"{' '.join(command[:4])} ended with {done.returncode}: {done.stdout.strip()[-2000:]}")
    return done.stdout


def wait(what: str, check: Callable[[], Any], limit: float = 60) -> Any:
    """What `check` answers, as soon as that is something; raises Failed after `limit` seconds."""
    deadline = time.monotonic() + limit
    while True:
        try:
            answer = check()
        except OSError as error:
            answer, why = None, str(error)
        else:
            why = "not yet"
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise Failed(f"{what}: {why} after {limit:.0f} s")
        time.sleep(0.5)


def manifests(role: str) -> list[Manifest]:
    return list(yaml.safe_load_all((ROOT / f"k8s_{role}_deployment.yml").read_text()))


def deployment(role: str) -> Manifest:
    return next(item for item in manifests(role) if item["kind"] == "Deployment")


def grace(role: str) -> int:
    return int(deployment(role)["spec"]["template"]["spec"]["terminationGracePeriodSeconds"])


def single(name: str, containers: list[Manifest], **spec: Any) -> Manifest:
    """A Deployment of one pod of our own making: the S3 server, the cluster's HSDS."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": containers, **spec}},
        },
    }


def cluster_hsds() -> tuple[list[Manifest], Manifest]:
    """The cluster's HSDS: the nodes of the loader's pod with the caches that HSDS has by default, and that pod."""
    spec = copy.deepcopy(deployment("load")["spec"]["template"]["spec"])
    nodes = spec.pop("initContainers")
    for node in nodes:
        node["env"] = [item for item in node["env"] if "CACHE" not in item["name"]]
    nodes[-1]["args"].insert(0, "--host=0.0.0.0")  # it is there for others
    return nodes, spec


def rclone(key: str, secret: str, command: str) -> Manifest:
    """A container with an S3 server."""
    return {
        "name": "rclone",
        "command": [command, "serve", "s3", "/data", "--addr=:9000", "--vfs-cache-mode=off", "--config=/dev/null"],
        "env": [{"name": "RCLONE_AUTH_KEY", "value": f'"{key},{secret}"'}],
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
