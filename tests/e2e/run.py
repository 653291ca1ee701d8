#!/usr/bin/env python3
"""The whole job in containers: the image, the two scripts, the three manifests, scaling, a pod that dies. `make e2e`.

A machine with podman (or Debian or Ubuntu and root, where podman gets installed) is enough: no cluster, no registry.
What a cluster would do with a manifest is done by `podman kube play`; `for_podman` shows all that is changed for it.
Everything it makes carries the name hsds-e2e or is one of the pods below, and is removed again at the end.

    tests/e2e/run.py               the whole job, then an operator's mistakes
    tests/e2e/run.py --mistakes    the mistakes alone
    tests/e2e/run.py --measure     instead: the memory of each container while a 300 MB file is loaded and checked
    tests/e2e/run.py --keep        leave the pods for a look at them (the next run removes them)

Exit status: 0 all verified, or skipped with the reason in capitals; 1 something was not as it should be.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import h5py
import numpy as np
import yaml
from botocore.config import Config as ClientConfig

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from bucket_loader import __version__  # noqa: E402
from bucket_loader.hsds import Hsds  # noqa: E402
from bucket_loader.local_servers import program  # noqa: E402

IMAGE = f"hdfgroup/hsds-bucket-loader:{__version__}"
BASE = "localhost/hsds-e2e-base:bookworm"
NETWORK, SUBNET, S3_ADDRESS, HSDS_ADDRESS = "hsds-e2e", "10.97.43.0/24", "10.97.43.10", "10.97.43.11"
OUTSIDE = 15101  # the cluster's HSDS, as seen from the desktop
SECRETS = ("hs-loader-keys", "aws-auth-keys")
APPS = {"load": "hsds-bucket-loader", "diff": "hsds-bucket-diff", "watch": "hsds-bucket-watch"}
# the admin, because a top-level folder is to be made; a /home/john that is there already does with john
USER, FOLDER, INVENTORY = "admin", "/home/admin/data/", "/home/admin/inventory.h5"
FILES = 24
PATIENCE = 600.0  # for all files to be verified

Manifest = dict[str, Any]
STARTED = time.monotonic()


class Skipped(Exception):
    """The machine cannot run this; the message says why."""


class Failed(Exception):
    """Something is not as it should be."""


def say(text: str) -> None:
    print(f"[{time.monotonic() - STARTED:5.0f} s] {text}", flush=True)


# -- the machine -------------------------------------------------------------------------------------------------------


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


def podman(*arguments: str, limit: float = 60, check: bool = True, **options: Any) -> str:
    return run("podman", *arguments, limit=limit, check=check, **options)


def get_podman(folder: Path) -> None:
    """Install podman where it is missing, and see that it can run a container. Raises Skipped."""
    # catatonit holds a pod's network; without it podman cannot make pods
    wanted = {"podman": "podman", "runc": "runc", "debootstrap": "debootstrap", "catatonit": "catatonit"}
    missing = [package for command, package in wanted.items() if not shutil.which(command)]
    if missing:
        if os.geteuid() or not shutil.which("apt-get"):
            raise Skipped(
                f"{', '.join(missing)} missing, and only root on Debian or Ubuntu can have them installed here"
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
    if image_exists("python:3.12-slim"):
        return "python:3.12-slim"
    if image_exists(BASE):
        return BASE
    try:
        podman("pull", "--quiet", "python:3.12-slim", limit=120)
        return "python:3.12-slim"
    except Failed:
        say("python:3.12-slim cannot be pulled; making a Debian with its Python instead (once)")
    tree = folder / "base"
    include = "--include=python3,python3-venv,ca-certificates"
    run("debootstrap", "--variant=minbase", include, "bookworm", str(tree), limit=400)
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


# -- what a cluster would do -------------------------------------------------------------------------------------------


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


class Cluster:
    """The pods of this run: made by name, removed by name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key, self.secret = "e2e" + secrets.token_hex(8), secrets.token_hex(16)
        self.password = f'it\'s "{secrets.token_hex(6)}" $HOME'

    def remove(self) -> None:
        """Remove what this or an earlier run made."""
        for pod in self.pods():
            podman("pod", "rm", "--force", "--time=1", pod, check=False)
        for name in SECRETS:
            podman("secret", "rm", name, check=False)
        podman("network", "rm", "--force", NETWORK, check=False)

    def pods(self, app: str = "") -> list[str]:
        ours = tuple(f"{name}-" for name in ((app,) if app else (*APPS.values(), "hsds-e2e")))
        return sorted(name for name in podman("pod", "ps", "--format={{.Name}}").split() if name.startswith(ours))

    def play(self, manifest: Manifest, address: str = "") -> None:
        maps = [yaml.safe_load(path.read_text()) for path in sorted(self.folder.glob("map-*.yml"))]
        path = self.folder / f"play-{manifest['metadata']['name']}.yml"
        path.write_text(yaml.safe_dump_all([*maps, manifest], sort_keys=False))
        options = [f"--ip={address}"] if address else []
        podman("kube", "play", f"--network={NETWORK}", *options, str(path), limit=120)

    def script(self, name: str, *arguments: str, quiet: bool = False) -> None:
        """Run one of the two scripts with the login, the keys and our kubectl."""
        shim = self.folder / "bin" / "kubectl"
        shim.parent.mkdir(exist_ok=True)
        shim.write_text(KUBECTL.format(python=sys.executable, folder=str(self.folder)))
        shim.chmod(0o755)
        env = {
            "PATH": f"{shim.parent}:{os.environ['PATH']}",
            "HS_USERNAME": USER,
            "HS_PASSWORD": self.password,
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "PYTHON": sys.executable,
        }
        output = run(str(ROOT / name), *arguments, env=os.environ | env)
        if not quiet:
            say(f"{name}: {'; '.join(line for line in output.splitlines() if 'applied' in line)}")

    def start_s3(self) -> None:
        container = {
            "name": "rclone",
            "image": IMAGE,
            "command": [
                "/rclone",
                "serve",
                "s3",
                "/data",
                "--addr=:9000",
                "--vfs-cache-mode=off",
                "--config=/dev/null",
            ],
            "env": [{"name": "RCLONE_AUTH_KEY", "value": f'"{self.key},{self.secret}"'}],
            "securityContext": {"runAsUser": 0},
            "volumeMounts": [{"name": "rclone", "mountPath": "/rclone"}, {"name": "data", "mountPath": "/data"}],
        }
        volumes = [
            {"name": "rclone", "hostPath": {"path": program("rclone"), "type": "File"}},
            {"name": "data", "emptyDir": {}},
        ]
        self.play(pod("hsds-e2e-s3", [container], volumes), S3_ADDRESS)

    def start_hsds(self) -> None:
        """The cluster's HSDS: the nodes of the loader's pod, with the caches that HSDS has by default."""
        spec = for_podman(deployment("load"), "x")["spec"]["template"]["spec"]
        nodes = [item for item in spec["containers"] if item["name"] in ("dn", "sn")]
        for node in nodes:
            node["env"] = [item for item in node["env"] if "CACHE" not in item["name"]]
        nodes[1]["ports"] = [{"containerPort": 5101, "hostPort": OUTSIDE}]
        self.play(pod("hsds-e2e-cluster", nodes, spec["volumes"]), HSDS_ADDRESS)

    def s3(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=f"http://{S3_ADDRESS}:9000",
            region_name="us-east-1",
            aws_access_key_id=self.key,
            aws_secret_access_key=self.secret,
            config=ClientConfig(request_checksum_calculation="when_required"),
        )

    def desktop(self, script: str, *arguments: str) -> str:
        """Run a script as on a desktop: with the config.yml of the pods, but from the outside."""
        env = {
            "CONFIG_DIR": str(self.folder),
            "HSDS_ENDPOINT": f"http://127.0.0.1:{OUTSIDE}",
            "HS_USERNAME": USER,
            "HS_PASSWORD": self.password,
            "COLUMNS": "120",
        }
        return run(sys.executable, str(ROOT / script), *arguments, env=os.environ | env, limit=120)

    def rows(self) -> list[Manifest]:
        return [
            json.loads(line) for line in self.desktop("dump_inventory.py", "--json").splitlines() if line[:1] == "{"
        ]

    def scale(self, role: str, wanted: int) -> None:
        """What `kubectl scale` does: start copies, or stop the last ones with their grace period."""
        app = APPS[role]
        there = self.pods(app)
        numbers = [int(name.removeprefix(f"{app}-").split("-")[0]) for name in there]
        say(f"scale {app}: {len(there)} → {wanted}")
        for number in range(max(numbers, default=0) + 1, max(numbers, default=0) + 1 + wanted - len(there)):
            self.play(for_podman(deployment(role), f"{app}-{number}"))
        grace = deployment(role)["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
        for name in there[wanted:]:
            self.stop(name, role, grace)

    def stop(self, name: str, role: str, grace: int) -> None:
        began = time.monotonic()
        # the worker first and its HSDS after it, as with native sidecars
        podman("stop", f"--time={grace}", f"{name}-{role}", limit=grace + 30)
        code = podman("inspect", "--format={{.State.ExitCode}}", f"{name}-{role}").strip()
        last = podman("logs", "--tail=1", f"{name}-{role}").strip()
        podman("pod", "rm", "--force", "--time=5", name)
        say(f"  {name} ended with {code} after {time.monotonic() - began:.0f} s: {last}")
        if code != "0":
            raise Failed(f"{name} did not end by itself within its grace period")

    def logs(self, lines: int = 15) -> str:
        parts = []
        for name in self.pods():
            for container in podman("pod", "inspect", name, "--format={{range .Containers}}{{.Name}} {{end}}").split():
                if not container.endswith("-infra"):
                    parts.append(f"--- {container}\n{podman('logs', f'--tail={lines}', container, check=False)}")
        return "\n".join(parts)


def deployment(role: str) -> Manifest:
    documents = yaml.safe_load_all((ROOT / f"k8s_{role}_deployment.yml").read_text())
    return next(item for item in documents if item["kind"] == "Deployment")


def pod(name: str, containers: list[Manifest], volumes: list[Manifest]) -> Manifest:
    """A Pod; by the name of its Deployment's pod, so that all have one form."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": containers, "volumes": volumes},
            },
        },
    }


# -- the job -----------------------------------------------------------------------------------------------------------


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


def state(endpoint: str) -> str:
    with urllib.request.urlopen(f"{endpoint}/about", timeout=5) as answer:
        return str(json.load(answer)["state"])


def put_files(cluster: Cluster) -> None:
    rng = np.random.default_rng(1)
    for number in range(FILES):
        path = cluster.folder / "file.h5"
        with h5py.File(path, "w") as file:
            file.attrs["number"] = number
            for name in ("a", "b", "c"):
                group = file.create_group(name)
                group.create_dataset(
                    "chunked", data=rng.integers(0, 99, (200, 300)), chunks=(50, 300), compression="gzip"
                )
                group.create_dataset("contiguous", data=rng.random(500 * (number + 1)))
                group["text"] = [f"row {row}" for row in range(20)]
        cluster.s3().upload_file(str(path), "source", f"run {number % 3}/file_{number:02d}.h5")
        path.unlink()


def write_config(cluster: Cluster, **more: object) -> None:
    values = {
        "src_bucket": "source",
        "src_suffix": "h5",
        "tgt_bucket": "target",
        "tgt_folder": FOLDER,
        "inventory_domain": INVENTORY,
        "hsds_endpoint": f"http://{HSDS_ADDRESS}:5101",
        "hsds_local": "http://localhost:5101",
        "aws_s3_gateway": f"http://{S3_ADDRESS}:9000",
        "aws_region": "us-east-1",
        "watchdog_sleep_time": 3,
        "lease_time": 20,
        "retry_pause": 2,
    }
    (cluster.folder / "config.yml").write_text(yaml.safe_dump(values | more))


def set_up(cluster: Cluster) -> None:
    """The Secrets, the ConfigMap, an S3 server with two buckets, the cluster's HSDS."""
    podman("network", "create", f"--subnet={SUBNET}", NETWORK)
    write_config(cluster)
    cluster.script("k8s_make_secrets.sh")
    cluster.script("make_configmap.sh", "-f", str(cluster.folder / "config.yml"))
    cluster.start_s3()
    wait("the S3 server", lambda: cluster.s3().list_buckets() if reachable(S3_ADDRESS, 9000) else None)
    for bucket in ("source", "target"):
        cluster.s3().create_bucket(Bucket=bucket)
    began = time.monotonic()
    cluster.start_hsds()
    wait("the cluster's HSDS", lambda: state(f"http://127.0.0.1:{OUTSIDE}") == "READY")
    say(f"the cluster's HSDS is READY {time.monotonic() - began:.0f} s after kube play")
    check_start_probes()


def job(cluster: Cluster) -> None:
    """Steps 8 to 19 of the README, with scaling and a death in between."""
    put_files(cluster)
    say(f"put {FILES} files into the bucket source")
    make_inventory(cluster)
    cluster.scale("watch", 1)
    wait("the watcher lists all files", lambda: len(cluster.rows()) == FILES, 120)
    say(f"the watcher found {FILES} files")
    cluster.scale("load", 2)
    cluster.scale("diff", 1)
    done = ("loaded", "checking", "verified")
    wait("some files are loaded", lambda: count(cluster, *done) >= 3, 180)
    cluster.scale("load", 4)
    wait("more files are loaded", lambda: count(cluster, *done) >= 6, 180)
    kill_one_mid_load(cluster)
    wait("half of the files are loaded", lambda: count(cluster, *done) >= FILES // 2, 240)
    cluster.scale("load", 1)
    wait("all files are verified", lambda: finished(cluster), PATIENCE)
    print(cluster.desktop("dump_inventory.py", "--summary"))
    rows = cluster.rows()
    by_pod: dict[str, int] = {}
    for row in rows:
        by_pod[row["loadpodname"]] = by_pod.get(row["loadpodname"], 0) + 1
    say("loaded by " + ", ".join(f"{name}: {number}" for name, number in sorted(by_pod.items())))
    bad = [row for row in rows if row["state"] != "verified"]
    if bad:
        raise Failed(f"{len(bad)} of {len(rows)} rows are not verified, the first one: {bad[0]}")
    if len(by_pod) < 2:
        raise Failed("one pod did it all")
    say(f"all {len(rows)} rows are verified")
    mistakes(cluster)


def make_inventory(cluster: Cluster) -> None:
    Hsds(f"http://127.0.0.1:{OUTSIDE}", USER, cluster.password, "target").make_folders(FOLDER)
    say(f"make_inventory.py: {cluster.desktop('make_inventory.py').splitlines()[0]}")


def reachable(host: str, port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://{host}:{port}", timeout=2).close()
    except urllib.error.HTTPError:
        return True
    return True


def check_start_probes() -> None:
    """The probes that podman does not run: by hand, once each."""
    for container in deployment("load")["spec"]["template"]["spec"]["initContainers"]:
        command = container["startupProbe"]["exec"]["command"]
        name = f"hsds-e2e-cluster-pod-0-{container['name']}"
        podman("exec", name, *command)
        wrong = podman("exec", name, *command[:-1], "5999", check=False)
        if "refused" not in wrong:
            raise Failed(f"the startup probe of {container['name']} passes where nothing listens: {wrong}")


def count(cluster: Cluster, *states: str) -> int:
    return sum(row["state"] in states for row in cluster.rows())


def finished(cluster: Cluster) -> bool:
    ends = ("verified", "load failed", "check failed")
    return all(row["state"] in ends for row in cluster.rows())


def kill_one_mid_load(cluster: Cluster) -> None:
    """Take a loader away without a warning, as a node that is lost would: its row goes to another one."""
    for _ in range(5):
        busy = next((row for row in cluster.rows() if row["state"] == "loading"), None)
        if busy is None:
            continue
        name = busy["loadpodname"]
        podman("pod", "kill", name, check=False)
        podman("pod", "rm", "--force", "--time=0", name, check=False)
        after = next(row for row in cluster.rows() if row["filename"] == busy["filename"])
        left = after["state"] == "loading" and after["loadpodname"] == name
        say(f"killed {name}{' while it loaded ' + busy['filename'] if left else ', which had just finished its row'}")
        if left:
            say(f"  {new_loader(cluster, busy['filename'], name)} has its row now")
            return
        cluster.scale("load", len(cluster.pods(APPS["load"])) + 1)
    raise Failed("no pod was caught while it loaded")


def new_loader(cluster: Cluster, filename: str, old: str) -> str:
    def other() -> str:
        name = next(str(row["loadpodname"]) for row in cluster.rows() if row["filename"] == filename)
        return "" if name == old else name

    return str(wait("another pod takes its row", other, 90))


# -- mistakes ----------------------------------------------------------------------------------------------------------


def mistakes(cluster: Cluster) -> None:
    """What an operator can get wrong: each is a line in the loader's log, and a pod that waits instead of spinning."""
    nowhere = "http://10.97.43.99:5101"
    wrong: dict[str, tuple[dict[str, object], str]] = {
        "wrong HSDS endpoint": ({"hsds_endpoint": nowhere}, f"HSDS at {nowhere} does not answer"),
        "wrong S3 endpoint": ({"aws_s3_gateway": "http://10.97.43.99:9000"}, "does not answer"),
        "wrong bucket": ({"src_bucket": "sauce"}, "there is no bucket sauce"),
        "no inventory": ({"inventory_domain": "/home/admin/other.h5"}, "/home/admin/other.h5"),
        "no such folder": ({"tgt_folder": "/home/admin/nowhere/"}, "there is no folder /home/admin/nowhere/"),
        "wrong password": ({}, f"the password of user {USER!r} is wrong"),
        "wrong keys": ({}, "refuses these credentials"),
    }
    right = cluster.password, cluster.secret
    for what, (settings, line) in wrong.items():
        write_config(cluster, **settings)
        cluster.password = right[0] + ("x" if what == "wrong password" else "")
        cluster.secret = right[1] + ("x" if what == "wrong keys" else "")
        cluster.script("k8s_make_secrets.sh", quiet=True)
        cluster.script("make_configmap.sh", "-f", str(cluster.folder / "config.yml"), quiet=True)
        name = f"{APPS['load']}-90"
        cluster.play(for_podman(deployment("load"), name))
        container = f"{name}-pod-0-load"

        def said(container: str = container, line: str = line) -> str:
            lines = podman("logs", container).splitlines()
            return next((text for text in lines if line in text and " starts with " not in text), "")

        text = wait(f"{what}: a line in the log with {line!r}", said, 60)
        time.sleep(3)
        running = podman("inspect", "--format={{.State.Running}}", container).strip()
        lines = len(podman("logs", container).splitlines())
        podman("pod", "rm", "--force", "--time=5", f"{name}-pod-0")
        say(f"{what}: {text.split(' ', 1)[1]}")
        if running != "true" or lines > 12:
            raise Failed(f"{what}: the loader does not wait (running: {running}, {lines} lines)")
    cluster.password, cluster.secret = right


# -- memory ------------------------------------------------------------------------------------------------------------


def measure(cluster: Cluster) -> None:
    """The most memory that each container's processes held while a 300 MB file was loaded and checked, both ways."""
    rng = np.random.default_rng(0)
    path = cluster.folder / "big.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("chunked", data=rng.random((1200, 128, 128)), chunks=(1, 128, 128))
        values = rng.integers(0, 1000, (600, 256, 256), dtype="i4")
        file.create_dataset("gzip", data=values, chunks=(4, 256, 256), compression="gzip", compression_opts=1)
        file.create_dataset("contiguous", data=rng.random((1024, 8192)))
    cluster.s3().create_bucket(Bucket="big")
    cluster.s3().upload_file(str(path), "big", "big.h5")
    megabytes = path.stat().st_size / 1e6
    path.unlink()
    print(f"\nmemory in MB, of a file of {megabytes:.0f} MB (in brackets: the limit)")
    for link in (True, False):
        folder = f"/home/{USER}/big-{'link' if link else 'ingest'}/"
        more = {"src_bucket": "big", "tgt_folder": folder, "link_files": link, "inventory_domain": f"{folder}i.h5"}
        write_config(cluster, **more)
        cluster.script("make_configmap.sh", "-f", str(cluster.folder / "config.yml"))
        Hsds(f"http://127.0.0.1:{OUTSIDE}", USER, cluster.password, "target").make_folders(folder)
        cluster.desktop("make_inventory.py")
        cluster.scale("watch", 1)
        wait("the watcher", lambda: len(cluster.rows()) == 1, 60)
        for role, end in (("load", "loaded"), ("diff", "verified")):
            cluster.scale(role, 1)
            peaks: dict[str, float] = {}
            began = time.monotonic()

            def there(role: str = role, end: str = end, peaks: dict[str, float] = peaks) -> bool:
                sample(cluster, role, peaks)
                return cluster.rows()[0]["state"] in (end, "load failed", "check failed")

            wait(f"{role} of the big file", there, 400)
            state_now = cluster.rows()[0]["state"]
            limits = {
                item["name"]: item["resources"]["limits"]["memory"]
                for item in for_podman(deployment(role), "x")["spec"]["template"]["spec"]["containers"]
            }
            shown = ", ".join(f"{name} {peaks[name]:.0f} ({limits[name]})" for name in limits)
            print(f"  {role} {'link' if link else 'ingest'}: {shown}; {time.monotonic() - began:.0f} s, {state_now}")
            cluster.scale(role, 0)
            if state_now != end:
                raise Failed(f"{role} of the big file ended as {state_now}: {cluster.rows()[0]}")
        cluster.scale("watch", 0)


def sample(cluster: Cluster, role: str, peaks: dict[str, float]) -> None:
    """For two seconds, look at the memory of a pod's containers."""
    (name,) = cluster.pods(APPS[role])
    for _ in range(10):
        for container in ("dn", "sn", role):
            first = podman("inspect", "--format={{.State.Pid}}", f"{name}-{container}").strip()
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


# -- the run -----------------------------------------------------------------------------------------------------------


@contextmanager
def cleaned(cluster: Cluster, keep: bool) -> Iterator[None]:
    cluster.remove()
    try:
        yield
    except BaseException:
        print(cluster.logs(), file=sys.stderr)
        raise
    finally:
        if keep:
            say(f"left: {', '.join(cluster.pods())}")
        else:
            cluster.remove()


def main() -> int:
    parser = argparse.ArgumentParser(description="The whole job in containers.")
    parser.add_argument("--measure", action="store_true", help="memory of each container with a 300 MB file, instead")
    parser.add_argument("--mistakes", action="store_true", help="an operator's mistakes alone")
    parser.add_argument("--keep", action="store_true", help="leave the pods where they are")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hsds-e2e-") as name:
        folder = Path(name)
        cluster = Cluster(folder)
        try:
            get_podman(folder)
            say(f"running with podman {podman('version', '--format={{.Client.Version}}').strip()}, not on a cluster")
            build(get_base(folder))
            with cleaned(cluster, options.keep):
                set_up(cluster)
                if options.measure:
                    measure(cluster)
                elif options.mistakes:
                    make_inventory(cluster)
                    mistakes(cluster)
                else:
                    job(cluster)
        except Skipped as error:
            print(f"E2E SKIPPED, NOTHING WAS TESTED: {error}", flush=True)
            return 0
        except Failed as error:
            print(f"e2e failed: {error}", file=sys.stderr, flush=True)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
