"""k8s_autoscale.yml: the loaders and differs of the manifests as KEDA's ScaledJobs.

    python -m bucket_loader.deploy.autoscale >k8s_autoscale.yml

Jobs and not a number of replicas: what lowers that number takes any pod, also one that has loaded for hours. A Job is
never ended from outside; its pod ends by itself when nothing is left to do.
"""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

import yaml

from ..inventory.states import State
from .configmap import Dumper

_ROOT = Path(__file__).resolve().parents[2]
_WATCHER = "http://hsds-bucket-watch.default.svc:9464/metrics"
_HEAD = """\
# As many loaders and differs as there is work for, down to none. Needs KEDA 2.16 or later (https://keda.sh) on the
# cluster, and the watcher, whose metrics it reads; no Prometheus server. In the place of k8s_load_deployment.yml and
# k8s_diff_deployment.yml:
#   kubectl delete deployment hsds-bucket-loader hsds-bucket-diff; kubectl apply -f k8s_autoscale.yml
# In another namespace than `default`, put its name into the two addresses (kustomization.yaml does). To hold it:
#   kubectl annotate scaledjob/hsds-bucket-loader autoscaling.keda.sh/paused=true
#
# A pod for every 20 rows that wait, so that a pod is worth its start; each works until nothing is left and ends by
# itself. Nothing ends one that works: neither fewer rows, nor a change of this file. Without an answer from the
# watcher, no pod is made. Made of the two deployments by `python -m bucket_loader.deploy.autoscale`: change those, and
# make it again.
"""
_ROWS_PER_POD = 20

Manifest = dict[str, Any]


def _manifests(role: str) -> list[Manifest]:
    return list(yaml.safe_load_all((_ROOT / f"k8s_{role}_deployment.yml").read_text(encoding="utf-8")))


def scaled_job(deployment: Manifest, waiting: State, most: int) -> Manifest:
    """Pods like those of a deployment, each in a Job, `most` at once, for rows in a state."""
    metadata, template = copy.deepcopy(deployment["metadata"]), copy.deepcopy(deployment["spec"]["template"])
    # not the deployment's: a disruption budget in per cent cannot count the pods of a Job
    app = metadata["labels"]["app"] = template["metadata"]["labels"]["app"] = f"{metadata['name']}-job"
    pod = template["spec"]
    pod["restartPolicy"] = "OnFailure"
    for constraint in pod["topologySpreadConstraints"]:
        constraint["labelSelector"]["matchLabels"]["app"] = app
    (worker,) = pod["containers"]
    worker["args"] = [*worker["args"], "--drain"]
    trigger = {
        "type": "metrics-api",
        "name": "waiting",
        "metadata": {
            "url": _WATCHER,
            "format": "prometheus",
            "valueLocation": f'bucket_loader_rows{{state="{waiting.name.lower()}"}}',
            "targetValue": str(_ROWS_PER_POD),
        },
    }
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
            "triggers": [trigger],
        },
    }


def manifests() -> list[Manifest]:
    made = []
    for role, waiting, most in (("load", State.NEW, 8), ("diff", State.LOADED, 4)):
        of_role = _manifests(role)
        deployment = next(item for item in of_role if item["kind"] == "Deployment")
        policy = next(item for item in of_role if item["kind"] == "NetworkPolicy")
        policy["metadata"]["name"] += "-job"  # beside the deployment's it would be the same thing twice
        made += [scaled_job(deployment, waiting, most), policy]
    return made


def text() -> str:
    return _HEAD + yaml.dump_all(manifests(), Dumper=Dumper, sort_keys=False, width=120, allow_unicode=True)


if __name__ == "__main__":
    sys.stdout.write(text())
