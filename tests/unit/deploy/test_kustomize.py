"""kustomization.yaml and its components, by a real kubectl."""

from __future__ import annotations

from pathlib import Path

import pytest

from bucket_loader import __version__
from bucket_loader.config import Config

from .manifests import (
    ROLES,
    containers,
    kustomized,
    manifests,
    of_pods,
    variables,
)

pytestmark = pytest.mark.slow


def test_kustomize_makes_what_the_files_say(tmp_path: Path) -> None:
    made = kustomized(tmp_path)
    files = {(item["kind"], item["metadata"]["name"]): item for role in ROLES for item in manifests(role)}
    for item in files.values():
        item["metadata"]["namespace"] = "default"
    assert made == files


def test_kustomize_puts_image_and_namespace_everywhere(tmp_path: Path) -> None:
    chosen = ("k8s_autoscale.yml", "k8s_load_job.yml")
    made = kustomized(tmp_path, *chosen, namespace="data", newName="registry.example.org/x")
    assert {item["metadata"]["namespace"] for item in made.values()} == {"data"}
    images = [
        container["image"]
        for spec in of_pods(made)
        for container in (*spec.get("initContainers", ()), *spec["containers"])
    ]
    assert set(images) == {f"registry.example.org/x:{__version__}"} and len(images) == 14
    urls = [
        trigger["metadata"]["url"]
        for (kind, _), item in made.items()
        if kind == "ScaledJob"
        for trigger in item["spec"]["triggers"]
    ]
    assert urls == ["http://hsds-bucket-watch.data.svc:9464/metrics"] * 4


def test_kustomize_gives_all_pods_a_role_and_a_login_to_the_registry(tmp_path: Path) -> None:
    components = ("scheduled-watch", "irsa", "registry-login")
    chosen = (*(f"docs/kustomize/{name}" for name in components), "k8s_load_job.yml", "k8s_autoscale.yml")
    made = kustomized(tmp_path, *chosen, namespace="data")
    account = made["ServiceAccount", "hsds-bucket-loader"]["metadata"]
    assert account["namespace"] == "data" and "eks.amazonaws.com/role-arn" in account["annotations"]
    assert [spec["serviceAccountName"] for spec in of_pods(made)] == ["hsds-bucket-loader"] * 6
    assert [spec["imagePullSecrets"] for spec in of_pods(made)] == [[{"name": "registry-login"}]] * 6


def test_a_watcher_at_times_is_in_the_place_of_the_one_that_stays(tmp_path: Path) -> None:
    made = kustomized(tmp_path, "docs/kustomize/scheduled-watch")
    assert ("CronJob", "hsds-bucket-scan") in made and ("Deployment", "hsds-bucket-watch") not in made


def test_a_loader_without_sidecars(tmp_path: Path) -> None:
    made = kustomized(tmp_path, "docs/kustomize/no-sidecars")
    spec = made["Deployment", "hsds-bucket-loader"]["spec"]["template"]["spec"]
    assert (
        not spec.get("initContainers")
        and made["Deployment", "hsds-bucket-diff"]["spec"]["template"]["spec"]["initContainers"]
    )
    (container,) = spec["containers"]
    settings = {name.lower(): variables(container)[name]["value"] for name in ("LOAD_ENGINE", "HSDS_LOCAL")}
    assert settings == {"load_engine": "direct", "hsds_local": "null"}
    assert variables(container).keys() == variables(containers("load")["load"]).keys() | {"LOAD_ENGINE", "HSDS_LOCAL"}
    needed = {"src_bucket": "a", "tgt_bucket": "b", "tgt_folder": "/c/", "inventory_domain": "/d/i.h5"}
    Config.model_validate(needed | {"hsds_endpoint": "http://e"} | settings)
