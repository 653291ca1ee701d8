"""The pods on a real cluster, the one of kubectl's context, in a namespace of this run's own.

The manifests are applied as they are but for the name of the image; the namespace enforces the restricted Pod Security
Standard. The desktop reaches the S3 server and the cluster's HSDS by `kubectl port-forward`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import yaml

from tests.e2e.common import (
    APPS,
    HSDS_APP,
    IMAGE,
    S3_APP,
    Failed,
    Manifest,
    cluster_hsds,
    manifests,
    rclone,
    run,
    say,
    single,
    wait,
)

NAMESPACE = "hsds-e2e"
S3_PORT, HSDS_PORT = 19000, 15101  # of this desktop
S3_IMAGE = "rclone/rclone:1.68"
RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
}


def reachable() -> bool:
    """Whether kubectl is there and has a cluster that answers."""
    if not shutil.which("kubectl"):
        return False
    command = ["kubectl", "get", "--raw=/readyz", "--request-timeout=5s"]
    return subprocess.run(command, capture_output=True, timeout=30, check=False).returncode == 0


class Kubectl:
    """A namespace of a cluster. `image` is ours, where the cluster can pull it; `s3_image` has rclone."""

    s3_inside, s3_outside = f"http://{S3_APP}:9000", f"http://127.0.0.1:{S3_PORT}"
    hsds_inside, hsds_outside = f"http://{HSDS_APP}:5101", f"http://127.0.0.1:{HSDS_PORT}"
    script_options = ("-n", NAMESPACE)

    def __init__(self, image: str, s3_image: str = S3_IMAGE) -> None:
        self.image, self.s3_image = image, s3_image
        self._forwards: list[subprocess.Popen[bytes]] = []
        context = self._kubectl("config", "current-context", namespace=False).strip()
        say(f"running with kubectl on the cluster of the context {context}, namespace {NAMESPACE}, image {image}")

    def _kubectl(self, *arguments: str, limit: float = 60, namespace: bool = True, **options: Any) -> str:
        where = [f"--namespace={NAMESPACE}"] if namespace else []
        return run("kubectl", *where, *arguments, limit=limit, **options)

    def _apply(self, *documents: Manifest) -> None:
        self._kubectl("apply", "--filename=-", input=yaml.safe_dump_all(documents, sort_keys=False))

    def script_env(self) -> dict[str, str]:
        return {}

    def remove(self) -> None:
        for forward in self._forwards:
            forward.terminate()
            forward.wait(10)
        self._forwards.clear()
        options = ("--ignore-not-found", "--timeout=150s")
        self._kubectl("delete", "namespace", NAMESPACE, *options, limit=180, namespace=False)

    def begin(self) -> None:
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}
        self._kubectl("apply", "--filename=-", namespace=False, input=yaml.safe_dump(made))

    def start_s3(self, key: str, secret: str) -> None:
        server = rclone(key, secret, "rclone") | {"image": self.s3_image, "securityContext": RESTRICTED}
        server["env"].append({"name": "XDG_CACHE_HOME", "value": "/data/.cache"})
        _, spec = cluster_hsds()
        made = single(
            S3_APP, [server], securityContext=spec["securityContext"], volumes=[{"name": "data", "emptyDir": {}}]
        )
        self._serve(made, 9000, S3_PORT)

    def start_hsds(self) -> None:
        nodes, spec = cluster_hsds()
        for node in nodes:
            del node["restartPolicy"]  # containers here: there is no worker that they would have to outlive
        volumes = [item for item in spec["volumes"] if item["name"] != "config"]
        made = single(
            HSDS_APP, nodes, securityContext=spec["securityContext"], enableServiceLinks=False, volumes=volumes
        )
        self._serve(made, 5101, HSDS_PORT)

    def _serve(self, made: Manifest, port: int, outside: int) -> None:
        """Start a Deployment with a Service, and forward a port of this desktop to it."""
        name = made["metadata"]["name"]
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name},
            "spec": {"selector": {"app": name}, "ports": [{"port": port}]},
        }
        self._apply(self._with_image(made), service)
        self._kubectl("rollout", "status", f"deployment/{name}", "--timeout=300s", limit=330)
        command = ["kubectl", f"--namespace={NAMESPACE}", "port-forward", f"service/{name}", f"{outside}:{port}"]
        self._forwards.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

    def _with_image(self, made: Manifest) -> Manifest:
        changed: Manifest = json.loads(json.dumps(made).replace(json.dumps(IMAGE), json.dumps(self.image)))
        return changed

    def apply(self, role: str) -> None:
        self._apply(*map(self._with_image, manifests(role)))

    def scale(self, role: str, wanted: int) -> None:
        self._kubectl("scale", f"--replicas={wanted}", f"deployment/{APPS[role]}")
        # those that go are Terminating for their grace period
        wait(f"{wanted} pods of {APPS[role]}", lambda: len(self.pods(APPS[role])) == wanted, 180)

    def pods(self, app: str) -> list[str]:
        found = json.loads(self._kubectl("get", "pods", f"--selector=app={app}", "--output=json"))
        return sorted(item["metadata"]["name"] for item in found["items"])

    def kill(self, pod: str) -> None:
        self._kubectl("delete", "pod", pod, "--grace-period=0", "--force", "--wait=false")

    def fresh(self, role: str) -> str:
        self.scale(role, 0)
        self.scale(role, 1)
        return self.pods(APPS[role])[0]

    def drop(self, role: str, pod: str) -> None:
        self.scale(role, 0)

    def without_secret(self, role: str, name: str) -> str:
        self._kubectl("delete", "secret", name)
        pod = self.fresh(role)

        def told() -> str:
            lines = self._kubectl("describe", "pod", pod).splitlines()
            return next((line.strip() for line in lines if f'secret "{name}" not found' in line), "")

        return str(wait(f"the events of {pod} name the secret {name}", told, 120))

    def logs(self, pod: str, container: str) -> str:
        try:
            return self._kubectl("logs", pod, f"--container={container}")
        except Failed:
            return ""  # it has not been started yet

    def execute(self, pod: str, container: str, *command: str, check: bool = True) -> str:
        return self._kubectl("exec", pod, f"--container={container}", "--", *command, check=check)

    def running(self, pod: str, container: str) -> bool:
        found = json.loads(self._kubectl("get", "pod", pod, "--output=json"))
        states = {item["name"]: item["state"] for item in found["status"]["containerStatuses"]}
        restarts = {item["name"]: item["restartCount"] for item in found["status"]["containerStatuses"]}
        return "running" in states[container] and not restarts[container]
