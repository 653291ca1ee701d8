"""The whole job, as the README has it: secrets and settings, inventory, watcher, loaders, differs, scaling, a death."""

from __future__ import annotations

import json
import os
import secrets
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import boto3
import h5py
import numpy as np
import yaml
from botocore.config import Config as ClientConfig

from bucket_loader.hsds import Hsds
from tests.e2e.common import APPS, HSDS_APP, ROOT, S3_APP, Failed, Manifest, Place, deployment, run, say, wait

# the admin, because a top-level folder is to be made; a /home/john that is there already does with john
USER, FOLDER, INVENTORY = "admin", "/home/admin/data/", "/home/admin/inventory.h5"
FILES = 48
MORE = 6  # for the direct engine
PATIENCE = 600.0  # for all files to be verified
DONE = ("loaded", "checking", "verified")
# what a pod's own Python prints of its endpoint
ASK = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=10).read().decode(), end='')"


class Desk:
    """A desktop beside a place with pods: the scripts, their settings, and the bucket."""

    def __init__(self, place: Place, folder: Path) -> None:
        self.place, self.folder = place, folder
        self.key, self.secret = "e2e" + secrets.token_hex(8), secrets.token_hex(16)
        self.password = f'it\'s "{secrets.token_hex(6)}" $HOME'

    def write_config(self, **more: object) -> None:
        values = {
            "src_bucket": "source",
            "src_suffix": "h5",
            "tgt_bucket": "target",
            "tgt_folder": FOLDER,
            "inventory_domain": INVENTORY,
            "hsds_endpoint": self.place.hsds_inside,
            "hsds_local": "http://localhost:5101",
            "aws_s3_gateway": self.place.s3_inside,
            "aws_region": "us-east-1",
            "watchdog_sleep_time": 3,
            "lease_time": 20,
            "load_engine": "hsload",  # each load takes long enough for a pod to die in it
            "retry_pause": 2,
        }
        (self.folder / "config.yml").write_text(yaml.safe_dump(values | more))

    def store(self, quiet: bool = False) -> None:
        """Secrets and settings, by the two scripts."""
        for name, options in (
            ("k8s_make_secrets.sh", ["--aws-keys"]),
            ("make_configmap.sh", ["-f", str(self.folder / "config.yml")]),
        ):
            env = {
                "HS_USERNAME": USER,
                "HS_PASSWORD": self.password,
                "AWS_ACCESS_KEY_ID": self.key,
                "AWS_SECRET_ACCESS_KEY": self.secret,
                "PYTHON": sys.executable,
            }
            env |= self.place.script_env()
            output = run(str(ROOT / name), *options, *self.place.script_options, env=os.environ | env)
            if not quiet:
                say(f"{name}: {'; '.join(line for line in output.splitlines() if 'applied' in line)}")

    def script(self, name: str, *arguments: str) -> str:
        """Run a script as on a desktop: with the config.yml of the pods, but from the outside."""
        env = {
            "CONFIG_DIR": str(self.folder),
            "HSDS_ENDPOINT": self.place.hsds_outside,
            "HS_USERNAME": USER,
            "HS_PASSWORD": self.password,
            "COLUMNS": "120",
        }
        return run(sys.executable, str(ROOT / name), *arguments, env=os.environ | env, limit=120)

    def make_inventory(self, folder: str = FOLDER) -> None:
        Hsds(self.place.hsds_outside, USER, self.password, "target").make_folders(folder)
        say(f"make_inventory.py: {self.script('make_inventory.py').splitlines()[0]}")

    def rows(self) -> list[Manifest]:
        lines = self.script("dump_inventory.py", "--json").splitlines()
        return [json.loads(line) for line in lines if line[:1] == "{"]

    def count(self, *states: str) -> int:
        return sum(row["state"] in states for row in self.rows())

    def s3(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self.place.s3_outside,
            region_name="us-east-1",
            aws_access_key_id=self.key,
            aws_secret_access_key=self.secret,
            config=ClientConfig(request_checksum_calculation="when_required"),
        )

    def scale(self, role: str, wanted: int) -> None:
        say(f"scale {APPS[role]}: {len(self.place.pods(APPS[role]))} → {wanted}")
        self.place.scale(role, wanted)

    def logs(self, lines: int = 15) -> str:
        """The last lines of every container, for when something went wrong."""
        parts = []
        for app in (*APPS.values(), S3_APP, HSDS_APP):
            role = next((role for role, name in APPS.items() if name == app), "")
            nodes = () if role == "watch" or app == S3_APP else ("dn", "sn")
            for pod in self.place.pods(app):
                for container in (*nodes, *([role] if role else ["rclone"] if app == S3_APP else [])):
                    said = "\n".join(self.place.logs(pod, container).splitlines()[-lines:])
                    parts.append(f"--- {pod} {container}\n{said}")
        return "\n".join(parts)


def set_up(desk: Desk) -> None:
    """The Secrets, the ConfigMap, an S3 server with two buckets, the cluster's HSDS."""
    place = desk.place
    place.begin()
    desk.write_config()
    desk.store()
    place.start_s3(desk.key, desk.secret)
    wait("the S3 server", lambda: answers(place.s3_outside))
    for bucket in ("source", "target"):
        desk.s3().create_bucket(Bucket=bucket)
    began = time.monotonic()
    place.start_hsds()
    wait("the cluster's HSDS", lambda: state(place.hsds_outside) == "READY", 120)
    say(f"the cluster's HSDS is READY after {time.monotonic() - began:.0f} s")
    check_start_probes(desk)


def answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=2).close()
    except urllib.error.HTTPError:
        return True
    return True


def state(endpoint: str) -> str:
    with urllib.request.urlopen(f"{endpoint}/about", timeout=5) as answer:
        return str(json.load(answer)["state"])


def check_start_probes(desk: Desk) -> None:
    """By hand, once each: that they pass, and that they would not pass where nothing listens."""
    (pod,) = desk.place.pods(HSDS_APP)
    for container in deployment("load")["spec"]["template"]["spec"]["initContainers"]:
        command = container["startupProbe"]["exec"]["command"]
        desk.place.execute(pod, container["name"], *command)
        wrong = desk.place.execute(pod, container["name"], *command[:-1], "5999", check=False)
        if "refused" not in wrong:
            raise Failed(f"the startup probe of {container['name']} passes where nothing listens: {wrong}")


def put_files(desk: Desk, numbers: range) -> None:
    rng = np.random.default_rng(1)
    for number in numbers:
        path = desk.folder / "file.h5"
        with h5py.File(path, "w") as file:
            file.attrs["number"] = number
            for name in ("a", "b", "c"):
                group = file.create_group(name)
                group.create_dataset(
                    "chunked", data=rng.integers(0, 99, (200, 300)), chunks=(50, 300), compression="gzip"
                )
                group.create_dataset("contiguous", data=rng.random(500 * (number + 1)))
                group["text"] = [f"row {row}" for row in range(20)]
        desk.s3().upload_file(str(path), "source", f"run {number % 3}/file_{number:02d}.h5")
        path.unlink()


def whole_job(desk: Desk) -> None:
    """Steps 8 to 19 of the README, with scaling and a death in between."""
    put_files(desk, range(FILES))
    say(f"put {FILES} files into the bucket source")
    desk.make_inventory()
    desk.place.apply("watch")
    wait("the watcher lists all files", lambda: len(desk.rows()) == FILES, 120)
    say(f"the watcher found {FILES} files")
    began = time.monotonic()
    desk.place.apply("load")
    wait("a loader answers its probe", lambda: healthy(desk, "load"), 120)
    say(f"the first loader answers its probe {time.monotonic() - began:.0f} s after it was applied")
    desk.scale("load", 2)
    desk.place.apply("diff")
    wait("some files are loaded", lambda: desk.count(*DONE) >= 3, 180)
    desk.scale("load", 4)
    wait("more files are loaded", lambda: desk.count(*DONE) >= 6, 180)
    check_metrics(desk)
    kill_one_mid_load(desk)
    wait("half of the files are loaded", lambda: desk.count(*DONE) >= FILES // 2, 240)
    desk.scale("load", 1)
    wait("all files are verified", lambda: finished(desk), PATIENCE)
    print(desk.script("dump_inventory.py", "--summary"))
    rows = desk.rows()
    by_pod: dict[str, int] = {}
    for row in rows:
        by_pod[pod_of(row)] = by_pod.get(pod_of(row), 0) + 1
    say("loaded by " + ", ".join(f"{name}: {number}" for name, number in sorted(by_pod.items())))
    bad = [row for row in rows if row["state"] != "verified"]
    if bad:
        raise Failed(f"{len(bad)} of {len(rows)} rows are not verified, the first one: {bad[0]}")
    if len(by_pod) < 2:
        raise Failed("one pod did it all")
    say(f"all {len(rows)} rows are verified")
    verified = f'bucket_loader_rows{{state="verified"}} {len(rows)}.0'
    wait(f"the watcher tells {verified}", lambda: verified in ask(desk, "watch", "metrics")[0], 60)
    say(f"the watcher tells {verified}")


def direct(desk: Desk) -> None:
    """More files, by loaders with the other engine."""
    desk.write_config(load_engine="auto")
    desk.store(quiet=True)
    for wanted in (0, 2):
        desk.scale("load", wanted)
    put_files(desk, range(FILES, FILES + MORE))
    wait("the watcher lists them", lambda: len(desk.rows()) == FILES + MORE, 60)
    began = time.monotonic()
    wait("all files are verified", lambda: finished(desk), PATIENCE)
    new = [row for row in desk.rows() if row["loadengine"] == "direct"]
    bad = [row for row in new if row["state"] != "verified"]
    if bad or len(new) != MORE:
        raise Failed(f"{len(new)} of {MORE} rows by the direct engine, {len(bad)} not verified: {desk.rows()[-1]}")
    say(f"{len(new)} more files by the direct engine, loaded and verified within {time.monotonic() - began:.0f} s")


def finished(desk: Desk) -> bool:
    return all(row["state"] in ("verified", "load failed", "check failed") for row in desk.rows())


def ask(desk: Desk, role: str, path: str) -> list[str]:
    """What each pod of a Deployment answers on the port that its manifest names."""
    (worker,) = deployment(role)["spec"]["template"]["spec"]["containers"]
    url = f"http://localhost:{worker['ports'][0]['containerPort']}/{path}"
    pods = desk.place.pods(APPS[role])
    return [desk.place.execute(pod, role, "python", "-c", ASK, url, check=False) for pod in pods]


def healthy(desk: Desk, role: str) -> bool:
    said = ask(desk, role, "healthz")
    return bool(said) and all(text == "ok\n" for text in said)


def check_metrics(desk: Desk) -> None:
    """While they work: all pods are well, and loaders and differs tell what they have done."""
    for role in APPS:
        wait(f"all pods of {APPS[role]} answer their probe", lambda role=role: healthy(desk, role), 60)
    for role, work in (("load", "load"), ("diff", "check")):
        counted = f'bucket_loader_files_total{{outcome="done",work="{work}"}} '
        pages = wait(f"{APPS[role]} tells what it did", lambda role=role: ask(desk, role, "metrics"), 60)
        done = [
            float(line.removeprefix(counted))
            for page in pages
            for line in page.splitlines()
            if line.startswith(counted)
        ]
        if len(done) != len(pages):
            raise Failed(f"{len(pages) - len(done)} pods of {APPS[role]} do not tell {counted}: {pages}")
        say(f"/healthz is ok in {len(pages)} pods of {APPS[role]}, which tell of {sum(done):.0f} files that are done")


def kill_one_mid_load(desk: Desk) -> None:
    """Take a loader away without a warning, as a node that is lost would: its row goes to another one."""
    for _ in range(5):
        busy = next((row for row in desk.rows() if row["state"] == "loading"), None)
        if busy is None:
            continue
        name = pod_of(busy)
        desk.place.kill(name)
        after = next(row for row in desk.rows() if row["filename"] == busy["filename"])
        left = after["state"] == "loading" and pod_of(after) == name
        say(f"killed {name}{' while it loaded ' + busy['filename'] if left else ', which had just finished its row'}")
        if left:
            say(f"  {new_loader(desk, busy['filename'], name)} has its row now")
            return
        desk.scale("load", 4)
    raise Failed("no pod was caught while it loaded")


def pod_of(row: dict[str, Any]) -> str:
    """The pod that loads or loaded a row; its workers have a number behind its name."""
    return str(row["loadpodname"]).partition("/")[0]


def new_loader(desk: Desk, filename: str, old: str) -> str:
    def other() -> str:
        name = next(pod_of(row) for row in desk.rows() if row["filename"] == filename)
        return "" if name == old else name

    return str(wait("another pod takes its row", other, 90))


def mistakes(desk: Desk) -> None:
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
    right = desk.password, desk.secret
    for what, (settings, line) in wrong.items():
        desk.write_config(**settings)
        desk.password = right[0] + ("x" if what == "wrong password" else "")
        desk.secret = right[1] + ("x" if what == "wrong keys" else "")
        desk.store(quiet=True)
        pod = desk.place.fresh("load")

        def said(pod: str = pod, line: str = line) -> str:
            lines = desk.place.logs(pod, "load").splitlines()
            return next((text for text in lines if line in text and " starts with " not in text), "")

        text = wait(f"{what}: a line in the log with {line!r}", said, 120)
        time.sleep(3)
        running, lines = desk.place.running(pod, "load"), len(desk.place.logs(pod, "load").splitlines())
        # a restart would mend nothing: the probe is content with a pod that waits
        (worker,) = deployment("load")["spec"]["template"]["spec"]["containers"]
        url = f"http://localhost:{worker['ports'][0]['containerPort']}/healthz"
        probe = desk.place.execute(pod, "load", "python", "-c", ASK, url, check=False)
        desk.place.drop("load", pod)
        say(f"{what}: {text.split(' ', 1)[1]}")
        if not running or lines > 12 or probe != "ok\n":
            raise Failed(f"{what}: the loader does not wait (running: {running}, {lines} lines, {probe})")
    desk.password, desk.secret = right
    desk.write_config()
    desk.store(quiet=True)
    told = desk.place.without_secret("load", "hs-loader-keys")
    if told:
        say(f"missing secret: {told}")
