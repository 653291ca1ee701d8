"""Jobs that are made of the deployments: a bucket once, a scan at times, and KEDA's, by what the watcher tells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import kubernetes_validate
import numpy as np
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


@pytest.mark.slow
@pytest.mark.parametrize("path", jobs.files())
def test_jobs_have_the_pods_of_the_deployments(path: str) -> None:
    assert (ROOT / path).read_text() == jobs.files()[path], "python -m bucket_loader.deploy.jobs"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_bucket_is_loaded_once_by_the_direct_engine_alone(version: str) -> None:
    job = jobs.load_job()
    kubernetes_validate.validate(job, version, strict=True)
    assert "completions" not in job["spec"], "each pod ends when nothing is left"
    spec, theirs, like = job["spec"]["template"]["spec"], pod("load"), containers("load")["load"]
    (container,) = spec["containers"]
    assert container["args"] == [*like["args"], "--drain"]
    direct = {"LOAD_ENGINE": "direct", "HSDS_LOCAL": "null"}
    assert variables(container) == variables(like) | {
        name: {"name": name, "value": value} for name, value in direct.items()
    }
    same = ("image", "imagePullPolicy", "ports", "startupProbe", "livenessProbe", "securityContext", "volumeMounts")
    assert {name: container[name] for name in same} == {name: like[name] for name in same}
    assert spec["restartPolicy"] == "OnFailure" and "initContainers" not in spec
    for name in ("serviceAccountName", "automountServiceAccountToken", "securityContext", "enableServiceLinks"):
        assert spec[name] == theirs[name]
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
    for role, state, work in (("load", "new", "load"), ("diff", "loaded", "check")):
        waiting, oldest = (trigger.metadata for trigger in scaled_jobs()[ROLES[role]].triggers)
        for where, name, label, value in (
            (waiting, "bucket_loader_rows", "state", state),
            (oldest, "bucket_loader_oldest_waiting_seconds", "work", work),
        ):
            assert where.url == f"http://{service['metadata']['name']}.default.svc:{port['port']}/metrics"
            assert where.format == "prometheus"
            assert where.valueLocation == f'{name}{{{label}="{value}"}}'
            assert (name, (label, value)) in samples


# -- a day with KEDA, by its rules -------------------------------------------------------------------------------------

MINUTE, HOUR = 60, 3600


@dataclass
class Load:
    """A row: when it was added, for how long it is loaded, and what was done of that in vain."""

    added: int
    takes: int
    begun: int | None = None
    done: bool = False
    lost: int = 0


class Cluster:
    """Pods of two slots that take the oldest row. By KEDA's rules for a ScaledJob, or for a ScaledObject: that sets a
    number of replicas, and a Deployment that has too many ends any of them (here the youngest, which it prefers).
    """

    def __init__(self, loads: list[Load], spec: ScaledJobSpec, ends_pods: bool) -> None:
        self.loads, self.spec, self.ends_pods = loads, spec, ends_pods
        self.pods: list[list[Load]] = []

    def wanted(self, now: int) -> int:
        waiting = [load for load in self.loads if load.added <= now and load.begun is None]
        values = {"waiting": len(waiting), "oldest": max([0, *(now - load.added for load in waiting)])}
        pods = [-(-values[item.name] // int(item.metadata.targetValue)) for item in self.spec.triggers]
        if self.ends_pods:  # the rule of before: also for what is in work
            pods = [-(-sum(not load.done and load.added <= now for load in self.loads) // 2)]
        return min(self.spec.maxReplicaCount, max(pods))

    def step(self, now: int) -> None:
        for slots in self.pods:
            for load in list(slots):
                if load.begun is not None and now >= load.begun + load.takes:
                    load.done = True
                    slots.remove(load)
            waiting = sorted((x for x in self.loads if x.added <= now and x.begun is None), key=lambda x: x.added)
            for load in waiting[: 2 - len(slots)]:
                load.begun = now
                slots.append(load)
        wanted = self.wanted(now)
        if self.ends_pods:
            for slots in self.pods[wanted:]:
                for load in slots:
                    load.lost, load.begun = load.lost + now - (load.begun or now), None
            del self.pods[wanted:]
        else:
            self.pods = [slots for slots in self.pods if slots]  # --drain
        self.pods += [[] for _ in range(wanted - len(self.pods))]

    def run(self) -> int:
        """Until all is loaded; how long it took, in seconds."""
        now = 0
        while not all(load.done for load in self.loads):
            self.step(now)
            now += MINUTE
            assert now < 100 * HOUR
        return now


def large_files() -> list[Load]:
    """40 loads of one to five hours, which come within two hours."""
    random = np.random.default_rng(7)
    return [Load(int(random.integers(0, 2 * HOUR)), int(random.integers(HOUR, 5 * HOUR))) for _ in range(40)]


def test_no_hour_of_a_load_is_lost_to_the_autoscaler() -> None:
    cluster = Cluster(large_files(), scaled_jobs()[ROLES["load"]], ends_pods=False)
    took, work = cluster.run(), sum(load.takes for load in cluster.loads)
    assert sum(load.lost for load in cluster.loads) == 0
    # and they get the pods that they may have: 16 slots
    assert took < 1.6 * work / 16 + 5 * HOUR
    # what a number of replicas does with the same loads, by the same rules
    rival = Cluster(large_files(), scaled_jobs()[ROLES["load"]], ends_pods=True)
    rival.run()
    assert sum(load.lost for load in rival.loads) > 5 * HOUR


def test_many_small_files_do_not_start_a_pod_each() -> None:
    cluster = Cluster([Load(0, 2) for _ in range(200)], scaled_jobs()[ROLES["load"]], ends_pods=False)
    assert cluster.wanted(MINUTE) == 8
    assert Cluster([Load(0, 2) for _ in range(15)], cluster.spec, ends_pods=False).wanted(MINUTE) == 1
    assert Cluster([], cluster.spec, ends_pods=False).wanted(MINUTE) == 0
