"""Jobs that are made of the deployments: a bucket once, a scan at times, and KEDA's, by what the watcher tells."""

from __future__ import annotations

import re
from typing import Any

import kubernetes_validate
import pytest
import yaml
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import BaseModel, ConfigDict, Field

from bucket_loader.deploy import jobs
from bucket_loader.pod.health import Pulse
from bucket_loader.watch import backlog
from bucket_loader.watch.metrics import WatcherMetrics

from .manifests import ROLES, ROOT, VERSIONS, containers, deployment, manifests, pod, variables


class Strict(BaseModel):
    """Fields of KEDA's ScaledJob, by its specification (2.16, and the latest)."""

    model_config = ConfigDict(extra="forbid", strict=True)


class MetricsApi(Strict):
    """What its metrics-api trigger reads; all values of a trigger are text."""

    url: str
    format: str
    valueLocation: str
    targetValue: str = Field(pattern=r"^\d+$")


class Trigger(Strict):
    type: str = Field(pattern="^metrics-api$")
    name: str
    metadata: MetricsApi


class Rollout(Strict):
    strategy: str = Field(pattern="^(default|gradual)$")


class JobTarget(Strict):
    backoffLimit: int
    template: dict[str, Any]


class ScaledJobSpec(Strict):
    maxReplicaCount: int = Field(ge=1)
    pollingInterval: int = Field(ge=1)
    successfulJobsHistoryLimit: int
    failedJobsHistoryLimit: int
    rollout: Rollout
    jobTargetRef: JobTarget
    triggers: list[Trigger] = Field(min_length=1)


def scaled_jobs() -> dict[str, ScaledJobSpec]:
    found = [
        item for item in yaml.safe_load_all((ROOT / "k8s_autoscale.yml").read_text()) if item["kind"] == "ScaledJob"
    ]
    assert {item["apiVersion"] for item in found} == {"keda.sh/v1alpha1"}
    return {item["metadata"]["name"]: ScaledJobSpec.model_validate(item["spec"]) for item in found}


@pytest.mark.parametrize("path", jobs.files())
def test_jobs_have_the_pods_of_the_deployments(path: str) -> None:
    assert (ROOT / path).read_text() == jobs.files()[path], "python -m bucket_loader.deploy.jobs"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_bucket_is_loaded_once_by_the_direct_engine_alone(version: str) -> None:
    job = jobs.load_job()
    kubernetes_validate.validate(job, version, strict=True)
    assert "completions" not in job["spec"], "each pod ends when nothing is left"
    spec, like = job["spec"]["template"]["spec"], containers("load")["load"]
    (container,) = spec["containers"]
    assert container["args"] == [*like["args"], "--drain"]
    direct = {"LOAD_ENGINE": "direct", "HSDS_LOCAL": "null"}
    assert variables(container) == variables(like) | {
        name: {"name": name, "value": value} for name, value in direct.items()
    }
    assert spec["restartPolicy"] == "OnFailure" and "initContainers" not in spec
    assert {volume["name"] for volume in spec["volumes"]} == {mount["name"] for mount in container["volumeMounts"]}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_bucket_is_listed_at_times_and_never_twice_at_once(version: str) -> None:
    job = jobs.cron_job()
    kubernetes_validate.validate(job, version, strict=True)
    assert job["spec"]["concurrencyPolicy"] == "Forbid"
    (container,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert container["args"] == [*containers("watch")["watch"]["args"], "--once"]
    # the Service of the watcher's metrics, and its deployment, do not take the pod for theirs
    service = next(item for item in manifests("watch") if item["kind"] == "Service")
    labels = job["spec"]["jobTemplate"]["spec"]["template"]["metadata"]["labels"]
    assert not service["spec"]["selector"].items() <= labels.items()


@pytest.mark.parametrize("role", ["load", "diff"])
def test_a_scaled_pod_works_until_nothing_is_left_and_nobody_ends_it(role: str) -> None:
    spec = scaled_jobs()[ROLES[role]]
    assert spec.rollout.strategy == "gradual", "by the default, a change of the file ends the Jobs that run"
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "made-by-keda"},
        "spec": spec.jobTargetRef.model_dump(),
    }
    for version in VERSIONS:
        kubernetes_validate.validate(job, version, strict=True)
    template, like = spec.jobTargetRef.template, pod(role)
    (worker,), (like_worker,) = template["spec"]["containers"], like["containers"]
    assert worker == like_worker | {"args": [*like_worker["args"], "--drain"]}
    assert template["spec"]["initContainers"] == like["initContainers"]
    assert template["spec"]["restartPolicy"] == "OnFailure"
    # a disruption budget in per cent cannot count pods of a Job: those of the deployment's must not be theirs
    selected = deployment(role)["spec"]["selector"]["matchLabels"]
    assert not selected.items() <= template["metadata"]["labels"].items()
    policy = next(item for item in manifests(role) if item["kind"] == "NetworkPolicy")
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= template["metadata"]["labels"].items()


def test_what_is_scaled_by_is_what_the_watcher_tells() -> None:
    service = next(item for item in manifests("watch") if item["kind"] == "Service")
    (port,) = service["spec"]["ports"]
    (target,) = containers("watch")["watch"]["ports"]
    assert service["spec"]["selector"] == deployment("watch")["spec"]["selector"]["matchLabels"]
    assert (port["targetPort"], port["port"]) == (target["name"], target["containerPort"])
    metrics = WatcherMetrics(Pulse(1))
    metrics.counted(backlog.Backlog())
    families = text_string_to_metric_families(generate_latest(metrics.registry).decode())
    samples = {(sample.name, *sample.labels.items()) for family in families for sample in family.samples}
    for role, state in {"load": "new", "diff": "loaded"}.items():
        (trigger,) = scaled_jobs()[ROLES[role]].triggers
        where = trigger.metadata
        assert where.url == f"http://{service['metadata']['name']}.default.svc:{port['port']}/metrics"
        assert where.format == "prometheus"
        selector = re.fullmatch(r'(\w+)\{(\w+)="(\w+)"\}', where.valueLocation)
        assert selector is not None
        assert selector[3] == state
        assert (selector[1], (selector[2], selector[3])) in samples
