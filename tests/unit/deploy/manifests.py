"""The manifests at the root, as the tests read them."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
ROLES = {"load": "hsds-bucket-loader", "diff": "hsds-bucket-diff", "watch": "hsds-bucket-watch"}
# the oldest version whose sidecars are on by default, and the newest that the schemas know
VERSIONS = ("1.29", ".".join(kubernetes_validate.latest_version().split(".")[:2]))
# what is not a setting of ours but read by boto3, in our containers and in HSDS's
AWS_KEYS = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
METRICS_PORT = "9464"
LOADER_CONFIG, LOADER_SECRET, AWS_SECRET = "hsds-bucket-loader-config", "hs-loader-keys", "aws-auth-keys"
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OPERATORS = {"keda.sh", "monitoring.coreos.com"}  # of whose kinds the Kubernetes API has no schema
HSDS_CONFIGS = {"hsds-config", "hsds-override"}  # as HSDS's own installation names them

Manifest = dict[str, Any]


def manifests(role: str) -> list[Manifest]:
    """The caller's own: it may change them."""
    return deepcopy(_manifests(role))


@cache
def _manifests(role: str) -> list[Manifest]:
    return list(yaml.safe_load_all((ROOT / f"k8s_{role}_deployment.yml").read_text()))


def deployment(role: str) -> Manifest:
    return next(item for item in manifests(role) if item["kind"] == "Deployment")


def pod(role: str) -> Manifest:
    return deployment(role)["spec"]["template"]["spec"]


def containers(role: str) -> dict[str, Manifest]:
    spec = pod(role)
    return {item["name"]: item for item in (*spec.get("initContainers", ()), *spec["containers"])}


def references(role: str, kind: str) -> Iterator[tuple[str, str, bool]]:
    """Name, key and whether it may be missing, of each Secret's or ConfigMap's key that becomes a variable."""
    for container in containers(role).values():
        for variable in container["env"]:
            ref = variable.get("valueFrom", {}).get(kind)
            if ref:
                yield ref["name"], ref["key"], ref.get("optional", False)


def variables(container: Manifest) -> dict[str, Manifest]:
    return {variable["name"]: variable for variable in container["env"]}


def size(text: str) -> int:
    units = {"k": 2**10, "m": 2**20, "g": 2**30, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
    match = re.fullmatch(r"(\d+)([A-Za-z]+)", text)
    assert match, text
    return int(match[1]) * units[match[2]]


def dockerfile() -> list[str]:
    joined = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text())
    return [line for line in joined.splitlines() if line and not line.startswith("#")]


def kustomized(folder: Path, *chosen: str, **values: str) -> dict[tuple[str, str], Manifest]:
    """What `kubectl kustomize` makes of the file at the root, with these lines of it chosen and these values."""
    kubectl = ROOT / ".venv" / "kubectl" / "kubectl"
    if not kubectl.exists():
        pytest.skip("NO KUBECTL: 'make kubectl' gets one")
    text = (ROOT / "kustomization.yaml").read_text()
    for line in chosen:
        assert f"  # - {line}" in text
        text = text.replace(f"  # - {line}", f"  - {line}")
    for name, value in values.items():
        text, count = re.subn(rf"^( *){name}: .*$", rf"\1{name}: {value}", text, flags=re.MULTILINE)
        assert count == 1
    (folder / "kustomization.yaml").write_text(text)
    for path in ROOT.glob("k8s_*.yml"):
        shutil.copy(path, folder)  # kustomize follows no link out of its folder
    shutil.copytree(ROOT / "docs" / "kustomize", folder / "docs" / "kustomize")
    done = subprocess.run([kubectl, "kustomize", folder], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    made = {(item["kind"], item["metadata"]["name"]): item for item in yaml.safe_load_all(done.stdout)}
    for item in made.values():
        if item["apiVersion"].partition("/")[0] not in OPERATORS:
            kubernetes_validate.validate(item, VERSIONS[-1], strict=True)
    return made


def of_pods(made: dict[tuple[str, str], Manifest]) -> list[Manifest]:
    """The pods of what kustomize made, as far as they are its matter."""
    found = []
    for (kind, _), item in made.items():
        spec = item.get("spec", {})
        inner = {"ScaledJob": spec.get("jobTargetRef"), "CronJob": spec.get("jobTemplate", {}).get("spec")}.get(
            kind, spec
        )
        if "template" in inner:
            found.append(inner["template"]["spec"])
    return found
