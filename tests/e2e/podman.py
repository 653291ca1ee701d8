"""The pods on this machine, by `podman kube play`: no cluster and no registry are needed."""

from __future__ import annotations

import copy
import os
import secrets
import shutil
import subprocess
import sys
import time
from pathlib import Path

import yaml

from bucket_loader.local.servers import program
from tests.e2e.common import (
    APPS,
    HSDS_APP,
    IMAGE,
    ROOT,
    S3_APP,
    Failed,
    Manifest,
    Skipped,
    cluster_hsds,
    deployment,
    grace,
    rclone,
    run,
    say,
    single,
)

BASE = "localhost/hsds-e2e-base:trixie"
NETWORK, SUBNET, S3_ADDRESS, HSDS_ADDRESS = "hsds-e2e", "10.97.43.0/24", "10.97.43.10", "10.97.43.11"
OUTSIDE = 15101  # the cluster's HSDS, as seen from the desktop
SECRETS = ("hs-loader-keys", "aws-auth-keys")


def podman(*arguments: str, limit: float = 60, check: bool = True) -> str:
    return run("podman", *arguments, limit=limit, check=check)


def get_podman(folder: Path) -> None:
    """Install podman where it is missing, and see that it can run a container. Raises Skipped."""
    # catatonit holds a pod's network; without it podman cannot make pods
    wanted = {"podman": "podman", "runc": "runc", "debootstrap": "debootstrap", "catatonit": "catatonit"}
    missing = [package for command, package in wanted.items() if not shutil.which(command)]
    if missing:
        if os.geteuid() or not shutil.which("apt-get") or os.environ.get("CI", "").lower() not in ("1", "true"):
            raise Skipped(
                f"{', '.join(missing)} missing: install them; on Debian and Ubuntu, root with CI=true in the "
                "environment gets them installed"
            )
        say(f"installing {', '.join(missing)}")
        try:
            run("apt-get", "update", "--quiet", limit=180)
            run("apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *missing, limit=420)
        except Failed as error:
            raise Skipped(f"podman cannot be installed: {error}") from error
    # settings of this run alone: runc, because crun refuses cgroups of version 1, and limits that a machine with hard
    # limits on open files can give
    settings = folder / "containers.conf"
    runtime = "" if Path("/sys/fs/cgroup/cgroup.controllers").exists() else '[engine]\nruntime = "runc"\n'
    settings.write_text(f'[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]\n{runtime}')
    os.environ["CONTAINERS_CONF"] = str(settings)
    try:
        podman("info")
    except Failed as error:
        raise Skipped(f"podman does not work here: {error}") from error


def get_base(folder: Path) -> str:
    """The image that ours is built on: the Dockerfile's own where it can be pulled, else a small Debian of our own."""
    if image_exists("python:3.14-slim"):
        return "python:3.14-slim"
    if image_exists(BASE):
        return BASE
    try:
        podman("pull", "--quiet", "python:3.14-slim", limit=120)
        return "python:3.14-slim"
    except Failed:
        say("python:3.14-slim cannot be pulled; making a Debian with its Python instead (once)")
    tree = folder / "base"
    include = "--include=python3,python3-venv,ca-certificates"
    run("debootstrap", "--variant=minbase", include, "trixie", str(tree), limit=400)
    # what the slim images do without, too
    for name in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale"):
        shutil.rmtree(tree / name)
        (tree / name).mkdir()
    run("sh", "-c", f"tar -C {tree} -c . | podman import - {BASE}", limit=200)
    shutil.rmtree(tree)
    return BASE


def image_exists(name: str) -> bool:
    return subprocess.run(["podman", "image", "exists", name], check=False).returncode == 0


def build(base: str) -> None:
    # the host's certificates and package settings, for the build alone
    mounts = [f"--volume={path}:{path}:ro" for path in ("/etc/ssl/certs", "/etc/pip.conf") if Path(path).exists()]
    began = time.monotonic()
    podman("build", "--network=host", *mounts, f"--build-arg=BASE_IMAGE={base}", f"--tag={IMAGE}", str(ROOT), limit=600)
    size, below = (int(podman("image", "inspect", "--format={{.Size}}", name)) / 1e6 for name in (IMAGE, base))
    say(f"built {IMAGE} in {time.monotonic() - began:.0f} s: {size:.0f} MB, {below:.0f} MB of it the base {base}")
    if size > 450:
        raise Failed("the image is above 450 MB")


def for_podman(manifest: Manifest, name: str) -> Manifest:
    """A Deployment as podman 4 can play it. All that differs from what a cluster gets is in this function."""
    made = copy.deepcopy(manifest)
    made["metadata"]["name"] = name  # one pod each: podman cannot scale a Deployment that it has played
    spec = made["spec"]["template"]["spec"]
    # it does not know native sidecars: they become containers, which all start at once
    sidecars = [{**item, "restartPolicy": None} for item in spec.pop("initContainers", [])]
    spec["containers"] = sidecars + spec["containers"]
    for container in spec["containers"]:
        container.pop("restartPolicy", None)
        # it asks HTTP probes with the image's curl, which there is none of, and starts nothing by them
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            container.pop(probe, None)
        container.pop("ports", None)  # it would publish them on the machine, where they can be taken once
    for volume in spec["volumes"]:
        if "projected" in volume:  # unknown to it, and both of its parts are optional
            del volume["projected"]
            volume["emptyDir"] = {}
        elif "secret" in volume:  # it cannot mount the kind of secret that secretKeyRef needs: see the shim of kubectl
            volume["configMap"] = {"name": volume["secret"]["secretName"], "items": volume["secret"]["items"]}
            del volume["secret"]
    return made


# what the two scripts take for kubectl: it makes podman's secrets, and keeps the ConfigMap for `podman kube play`
KUBECTL = """#!{python}
import base64, json, subprocess, sys, yaml
if "view" in sys.argv:
    print("podman|pods|this machine", end="")
    sys.exit()
if "get" in sys.argv:  # each Secret that is there is of the scripts
    sys.exit()
assert "apply" in sys.argv, sys.argv
for item in yaml.safe_load_all(sys.stdin):
    name, data = item["metadata"]["name"], item["data"]
    if item["kind"] == "Secret":
        subprocess.run(["podman", "secret", "rm", name], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        subprocess.run(["podman", "secret", "create", name, "-"], input=json.dumps(data), text=True, check=True,
                       stdout=subprocess.DEVNULL)
        data = {{key: base64.b64decode(value).decode() for key, value in data.items() if key == "user-password.txt"}}
    if data:
        kept = {{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {{"name": name}}, "data": data}}
        with open({folder!r} + f"/map-{{name}}.yml", "w") as file:
            yaml.safe_dump(kept, file)
    print(item["kind"].lower() + "/" + name + " serverside-applied")
"""


class Podman:
    """Pods of this machine: made by name, removed by name."""

    s3_inside = s3_outside = f"http://{S3_ADDRESS}:9000"
    hsds_inside, hsds_outside = f"http://{HSDS_ADDRESS}:5101", f"http://127.0.0.1:{OUTSIDE}"
    script_options: tuple[str, ...] = ()

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        get_podman(folder)
        say(f"running with podman {podman('version', '--format={{.Client.Version}}').strip()}, not on a cluster")
        build(get_base(folder))

    def script_env(self) -> dict[str, str]:
        shim = self.folder / "bin" / "kubectl"
        shim.parent.mkdir(exist_ok=True)
        shim.write_text(KUBECTL.format(python=sys.executable, folder=str(self.folder)))
        shim.chmod(0o755)
        return {"PATH": f"{shim.parent}:{os.environ['PATH']}"}

    def remove(self) -> None:
        for app in (*APPS.values(), S3_APP, HSDS_APP):
            for pod in self.pods(app):
                podman("pod", "rm", "--force", "--time=1", pod, check=False)
        for name in SECRETS:
            podman("secret", "rm", name, check=False)
        podman("network", "rm", "--force", NETWORK, check=False)

    def begin(self) -> None:
        podman("network", "create", f"--subnet={SUBNET}", NETWORK)

    def pods(self, app: str) -> list[str]:
        return sorted(name for name in podman("pod", "ps", "--format={{.Name}}").split() if name.startswith(f"{app}-"))

    def _play(self, manifest: Manifest, address: str = "") -> None:
        maps = [yaml.safe_load(path.read_text()) for path in sorted(self.folder.glob("map-*.yml"))]
        path = self.folder / f"play-{manifest['metadata']['name']}.yml"
        path.write_text(yaml.safe_dump_all([*maps, manifest], sort_keys=False))
        options = [f"--ip={address}"] if address else []
        podman("kube", "play", f"--network={NETWORK}", *options, str(path), limit=120)

    def start_s3(self, key: str, secret: str) -> None:
        server = rclone(key, secret, "/rclone") | {"image": IMAGE, "securityContext": {"runAsUser": 0}}
        server["volumeMounts"].append({"name": "rclone", "mountPath": "/rclone"})
        volumes = [
            {"name": "rclone", "hostPath": {"path": program("rclone"), "type": "File"}},
            {"name": "data", "emptyDir": {}},
        ]
        self._play(single(S3_APP, [server], volumes=volumes), S3_ADDRESS)

    def start_hsds(self) -> None:
        nodes, spec = cluster_hsds()
        made = for_podman(single(HSDS_APP, nodes, volumes=spec["volumes"]), HSDS_APP)
        made["spec"]["template"]["spec"]["containers"][1]["ports"] = [{"containerPort": 5101, "hostPort": OUTSIDE}]
        self._play(made, HSDS_ADDRESS)

    def apply(self, role: str) -> None:
        self.scale(role, 1)

    def scale(self, role: str, wanted: int) -> None:
        """What `kubectl scale` does: start copies, or stop the last ones with their grace period."""
        app = APPS[role]
        there = self.pods(app)
        numbers = [int(name.removeprefix(f"{app}-").split("-")[0]) for name in there]
        for number in range(max(numbers, default=0) + 1, max(numbers, default=0) + 1 + wanted - len(there)):
            self._play(for_podman(deployment(role), f"{app}-{number}"))
        for name in there[wanted:]:
            self._stop(name, role)

    def _stop(self, name: str, role: str) -> None:
        began = time.monotonic()
        # the worker first and its HSDS after it, as with native sidecars
        podman("stop", f"--time={grace(role)}", f"{name}-{role}", limit=grace(role) + 30)
        code = podman("inspect", "--format={{.State.ExitCode}}", f"{name}-{role}").strip()
        last = podman("logs", "--tail=1", f"{name}-{role}").strip()
        podman("pod", "rm", "--force", "--time=5", name)
        say(f"  {name} ended with {code} after {time.monotonic() - began:.0f} s: {last}")
        if code != "0":
            raise Failed(f"{name} did not end by itself within its grace period")

    def kill(self, pod: str) -> None:
        podman("pod", "kill", pod, check=False)
        podman("pod", "rm", "--force", "--time=0", pod, check=False)

    def fresh(self, role: str) -> str:
        name = f"{APPS[role]}-9{secrets.randbelow(1000):03}"
        self._play(for_podman(deployment(role), name))
        return f"{name}-pod-0"

    def drop(self, role: str, pod: str) -> None:
        podman("pod", "rm", "--force", "--time=5", pod)

    def without_secret(self, role: str, name: str) -> str:
        return ""  # `kube play` refuses to start such a pod; it does not wait for the secret

    def logs(self, pod: str, container: str) -> str:
        return podman("logs", f"{pod}-{container}", check=False)

    def execute(self, pod: str, container: str, *command: str, check: bool = True) -> str:
        return podman("exec", f"{pod}-{container}", *command, check=check)

    def running(self, pod: str, container: str) -> bool:
        return podman("inspect", "--format={{.State.Running}}", f"{pod}-{container}").strip() == "true"
