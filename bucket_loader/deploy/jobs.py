"""Pods of the deployments, as Jobs: k8s_load_job.yml, k8s_autoscale.yml, docs/kustomize/scheduled-watch/cron_job.yaml.

    python -m bucket_loader.deploy.jobs

writes these files anew, after a change of a deployment. KEDA makes Jobs and sets no number of replicas: what lowers
that number takes any pod, also one that has loaded for hours. A Job is never ended from outside; its pod ends by itself
when nothing is left to do.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml

from ..inventory.states import CHECK, LOAD, Work
from .configmap import Dumper

_ROOT = Path(__file__).resolve().parents[2]
_WATCHER = "http://hsds-bucket-watch.default.svc:9464/metrics"
_LOAD_JOB = """\
# Load a bucket once: pods that load what the inventory holds, and end when nothing is left to load.
#   kubectl apply -f k8s_load_job.yml ; kubectl wait --for=condition=complete --timeout=-1s job/hsds-bucket-load
# The simplest way for a bucket that does not change; the deployments are for one that does. Needs what these need, a
# watcher that has listed the bucket (or `watcher.py --once`), and tgt_bucket in config.yml: it loads by the direct
# engine alone, without an HSDS of its own (docs/direct.md). What that refuses is `load failed`, with the reason.
#
# A Job cannot be changed: `kubectl delete job hsds-bucket-load` before it is applied again. More pods while it runs:
# `kubectl patch job hsds-bucket-load -p '{"spec": {"parallelism": 16}}'`. A pod that was evicted, or whose node went,
# is made anew; what it was at goes to another one. Made of k8s_load_deployment.yml by
# `python -m bucket_loader.deploy.jobs`: change that, and make it again.
"""
_AUTOSCALE = """\
# As many loaders and differs as there is work for, down to none. Needs KEDA 2.16 or later (https://keda.sh) on the
# cluster, and the watcher, whose metrics it reads; no Prometheus server. In the place of k8s_load_deployment.yml and
# k8s_diff_deployment.yml:
#   kubectl delete deployment hsds-bucket-loader hsds-bucket-diff; kubectl apply -f k8s_autoscale.yml
# In another namespace than `default`, put its name into the two addresses (kustomization.yaml does). To hold it:
#   kubectl annotate scaledjob/hsds-bucket-loader autoscaling.keda.sh/paused=true
#
# A pod for every 20 rows that wait, so that a pod is worth its start, and one for every 5 minutes that the oldest has
# waited, so that a few large files get them, too. Each works until nothing is left and ends by itself. Nothing ends one
# that works: neither fewer rows, nor a change of this file. Without an answer from the watcher, no pod is made. Made of
# the two deployments by `python -m bucket_loader.deploy.jobs`: change those, and make it again.
"""
_CRON_JOB = """\
# The watcher as a CronJob: it lists the bucket at these times, adds what is new, and ends. For a bucket that changes
# once a day. In the place of its deployment, whose metrics, and k8s_autoscale.yml with them, are then not there:
#   kubectl delete deployment hsds-bucket-watch; kubectl apply -f docs/kustomize/scheduled-watch/cron_job.yaml
# Made of k8s_watch_deployment.yml by `python -m bucket_loader.deploy.jobs`: change that, and make it again.
"""
_ROWS_PER_POD = 20
_SECONDS_PER_POD = 300

Manifest = dict[str, Any]


def _manifests(role: str) -> list[Manifest]:
    return list(yaml.safe_load_all((_ROOT / f"k8s_{role}_deployment.yml").read_text(encoding="utf-8")))


def _deployment(role: str) -> Manifest:
    return next(item for item in _manifests(role) if item["kind"] == "Deployment")


def _as_job(deployment: Manifest, app: str, *arguments: str) -> tuple[Manifest, Manifest]:
    """Metadata and pod template of a Job whose pod is a deployment's, with more arguments, under another name."""
    metadata, template = copy.deepcopy(deployment["metadata"]), copy.deepcopy(deployment["spec"]["template"])
    # not the deployment's: a disruption budget in per cent cannot count the pods of a Job
    metadata["labels"]["app"] = template["metadata"]["labels"]["app"] = app
    pod = template["spec"]
    pod["restartPolicy"] = "OnFailure"
    for constraint in pod.get("topologySpreadConstraints", ()):
        constraint["labelSelector"]["matchLabels"]["app"] = app
    (worker,) = pod["containers"]
    worker["args"] = [*worker["args"], *arguments]
    return metadata, template


def load_job() -> Manifest:
    """Loaders by the direct engine, without an HSDS of their own, until nothing is left."""
    name = "hsds-bucket-load"
    metadata, template = _as_job(_deployment("load"), name, "--drain")
    pod = template["spec"]
    (worker,) = pod["containers"]
    worker["env"] += [{"name": "LOAD_ENGINE", "value": "direct"}, {"name": "HSDS_LOCAL", "value": "null"}]
    del pod["initContainers"]
    mounted = {mount["name"] for mount in worker["volumeMounts"]}
    pod["volumes"] = [volume for volume in pod["volumes"] if volume["name"] in mounted]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata | {"name": name},
        # no number of completions: the pods share one table, and each ends with 0 when it finds nothing left
        "spec": {"parallelism": 4, "backoffLimit": 100, "ttlSecondsAfterFinished": 604800, "template": template},
    }


def cron_job() -> Manifest:
    """One scan of the bucket, each hour."""
    metadata, template = _as_job(_deployment("watch"), "hsds-bucket-scan", "--once")
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": metadata | {"name": "hsds-bucket-scan"},
        "spec": {
            "schedule": "0 * * * *",
            "concurrencyPolicy": "Forbid",
            "jobTemplate": {"spec": {"backoffLimit": 3, "template": template}},
        },
    }


def _trigger(name: str, metric: str, per_pod: int) -> Manifest:
    """A pod for each so much of a metric of the watcher's; the largest number of all triggers counts."""
    where = {"url": _WATCHER, "format": "prometheus", "valueLocation": metric, "targetValue": str(per_pod)}
    return {"type": "metrics-api", "name": name, "metadata": where}


def scaled_job(deployment: Manifest, work: Work, most: int) -> Manifest:
    """Pods like those of a deployment, each in a Job, `most` at once, for rows that are ready for a work."""
    metadata, template = _as_job(deployment, f"{deployment['metadata']['name']}-job", "--drain")
    waiting = f'bucket_loader_rows{{state="{work.ready.name.lower()}"}}'
    oldest = f'bucket_loader_oldest_waiting_seconds{{work="{work.name}"}}'
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledJob",
        "metadata": metadata,
        "spec": {
            "pollingInterval": 15,
            "maxReplicaCount": most,
            "rollout": {"strategy": "gradual"},
            "successfulJobsHistoryLimit": 3,
            "failedJobsHistoryLimit": 3,
            "jobTargetRef": {"backoffLimit": 6, "template": template},
            "triggers": [_trigger("waiting", waiting, _ROWS_PER_POD), _trigger("oldest", oldest, _SECONDS_PER_POD)],
        },
    }


def autoscaled() -> list[Manifest]:
    """Loaders and differs by what waits, and their network policies."""
    made = []
    for role, work, most in (("load", LOAD, 8), ("diff", CHECK, 4)):
        policy = next(item for item in _manifests(role) if item["kind"] == "NetworkPolicy")
        policy["metadata"]["name"] += "-job"  # beside the deployment's it would be the same thing twice
        made += [scaled_job(_deployment(role), work, most), policy]
    return made


def files() -> dict[str, str]:
    """Each file that is made, by its path from the root."""
    made = {
        "k8s_load_job.yml": (_LOAD_JOB, [load_job()]),
        "k8s_autoscale.yml": (_AUTOSCALE, autoscaled()),
        "docs/kustomize/scheduled-watch/cron_job.yaml": (_CRON_JOB, [cron_job()]),
    }
    return {
        path: head + yaml.dump_all(manifests, Dumper=Dumper, sort_keys=False, width=120, allow_unicode=True)
        for path, (head, manifests) in made.items()
    }


if __name__ == "__main__":
    for name, text in files().items():
        (_ROOT / name).write_text(text, encoding="utf-8")
