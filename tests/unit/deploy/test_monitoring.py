"""docs/kustomize/monitoring: alerts, by Prometheus's own promtool; a dashboard; and that both ask for what there is."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ..pod.test_metrics import families
from .manifests import ROLES, ROOT, containers, deployment, kustomized

FOLDER = ROOT / "docs" / "kustomize" / "monitoring"
PROMTOOL = ROOT / ".venv" / "promtool" / "promtool"


def rules() -> dict[str, Any]:
    """What Prometheus takes as a file of rules."""
    return yaml.safe_load((FOLDER / "alerts.yaml").read_text())["spec"]


def queries() -> Iterator[str]:
    """Those of the dashboard."""
    for panel in json.loads((FOLDER / "dashboard.json").read_text())["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"]


def promtool(*arguments: str | Path) -> None:
    if not PROMTOOL.exists():
        pytest.skip("NO PROMTOOL: 'make promtool' gets one")
    done = subprocess.run([PROMTOOL, *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def asked_for(text: str) -> set[str]:
    return {name.removesuffix("_bucket") for name in re.findall(r"\bbucket_loader_\w+", text)}


# -- names -------------------------------------------------------------------------------------------------------------


def test_the_pod_monitor_finds_all_pods() -> None:
    spec = yaml.safe_load((FOLDER / "pod_monitor.yaml").read_text())["spec"]
    for role in ROLES:
        labels = deployment(role)["spec"]["template"]["metadata"]["labels"]
        assert spec["selector"]["matchLabels"].items() <= labels.items()
        assert spec["podMetricsEndpoints"] == [{"port": containers(role)[role]["ports"][0]["name"]}]


def test_every_metric_is_on_the_dashboard_and_no_other() -> None:
    # those whose names are in the metrics themselves, of which docs/kubernetes.md is proven to be the list
    assert asked_for(" ".join(queries())) == set(families())


def test_alerts_ask_for_metrics_that_are_there() -> None:
    for group in rules()["groups"]:
        for rule in group["rules"]:
            names = asked_for(rule["expr"])
            assert names and names <= set(families()), rule["alert"]


@pytest.mark.parametrize("label", ["work", "state", "outcome", "change", "method", "version"])
def test_labels_are_those_of_the_metrics(label: str) -> None:
    having = [name for name, (_, labels) in families().items() if label in labels.split(", ")]
    for query in [*queries(), *(rule["expr"] for group in rules()["groups"] for rule in group["rules"])]:
        grouped = re.search(rf"by \([^)]*\b{label}\b[^)]*\)", query)
        if grouped or f'{label}="' in query:
            assert asked_for(query) <= set(having), query


def test_the_dashboard_is_what_its_script_makes() -> None:
    pytest.importorskip("grafana_foundation_sdk", reason="it needs Python 3.11")
    made = subprocess.run(
        [sys.executable, ROOT / "docs" / "dashboard.py"], stdout=subprocess.PIPE, text=True, check=True
    )
    assert (FOLDER / "dashboard.json").read_text() == made.stdout, (
        "python docs/dashboard.py >docs/kustomize/monitoring/dashboard.json"
    )


# -- Prometheus --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_prometheus_takes_alerts_and_queries(tmp_path: Path) -> None:
    made = [
        {"record": f"query:{number}", "expr": query.replace("$__rate_interval", "5m")}
        for number, query in enumerate(queries())
    ]
    for name, body in (("alerts", rules()), ("queries", {"groups": [{"name": "dashboard", "rules": made}]})):
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(body))
        promtool("check", "rules", path)


POD = 'namespace="data", pod="hsds-bucket-loader-1"'
WATCHER = 'namespace="data", pod="hsds-bucket-watch-1"'
# everything as it should be: files are loaded, the bucket is listed every half minute
WELL = {
    f'bucket_loader_files_total{{{POD}, work="load", outcome="done"}}': "0+1x240",
    f'bucket_loader_files_total{{{POD}, work="load", outcome="failed"}}': "0x240",
    f'bucket_loader_files_total{{{POD}, work="load", outcome="lost"}}': "0x240",
    f'bucket_loader_files_in_work{{{POD}, work="load"}}': "2x240",
    f"bucket_loader_away_total{{{POD}}}": "0x240",
    f'bucket_loader_oldest_waiting_seconds{{{WATCHER}, work="load"}}': "3600x240",
    f'bucket_loader_oldest_waiting_seconds{{{WATCHER}, work="check"}}': "0x240",
    f"bucket_loader_in_step_timestamp_seconds{{{WATCHER}}}": "0+60x240",
    f'bucket_loader_build_info{{{WATCHER}, version="1"}}': "1x240",
}
# what is wrong, and the alert that says so, with its labels and its words
WRONG: dict[str, tuple[dict[str, str | None], str, dict[str, str], str]] = {
    "files that fail": (
        {f'bucket_loader_files_total{{{POD}, work="load", outcome="failed"}}': "0x90 1x10 4x140"},
        "BucketLoaderFilesFailed",
        {"namespace": "data", "work": "load"},
        "load failed, in the last hour: 4 files",
    ),
    "no pod that works": (
        {f'bucket_loader_files_in_work{{{POD}, work="load"}}': "0x240"},
        "BucketLoaderNobodyWorks",
        {"namespace": "data", "work": "load"},
        "Files have waited for a load for 1h 0m 0s, and no pod works",
    ),
    "no pod at all": (
        {f'bucket_loader_files_in_work{{{POD}, work="load"}}': None},
        "BucketLoaderNobodyWorks",
        {"namespace": "data", "work": "load"},
        "Files have waited for a load for 1h 0m 0s, and no pod works",
    ),
    "rows that are lost": (
        {f'bucket_loader_files_total{{{POD}, work="load", outcome="lost"}}': "0x90 5x150"},
        "BucketLoaderLosesRows",
        {"namespace": "data", "work": "load"},
        "taken from pods that worked on them, in the last hour: 5 rows",
    ),
    "a server that is away": (
        {f"bucket_loader_away_total{{{POD}}}": "0+1x240"},
        "BucketLoaderServerAway",
        {"namespace": "data"},
        "Pods wait for HSDS or S3",
    ),
    "no scan": (
        {f"bucket_loader_in_step_timestamp_seconds{{{WATCHER}}}": "0+60x30 1800x210"},
        "BucketLoaderScanLate",
        {"namespace": "data"},
        "The bucket was last looked at 1h 30m 0s ago",
    ),
    "no watcher": (
        {f'bucket_loader_build_info{{{WATCHER}, version="1"}}': None},
        "BucketLoaderNoWatcher",
        {},
        "There is no watcher",
    ),
}
# nothing that needs anybody
FINE: dict[str, dict[str, str | None]] = {
    "all is well": {},
    "a watcher that was started a minute ago": {
        # its gauges are not there before the first scan
        name: None if "build_info" not in name else "_x119 1x121"
        for name in WELL
        if WATCHER in name
    },
    "a load of three hours": {f'bucket_loader_files_total{{{POD}, work="load", outcome="done"}}': "0x240"},
    "a server that was away for a moment": {f"bucket_loader_away_total{{{POD}}}": "0x110 3x130"},
}


def assert_fired(folder: Path, series: dict[str, str | None], fired: dict[str, tuple[dict[str, str], str]]) -> None:
    """Assert that two hours of WELL with other series fire these alerts, with their labels and words, and no other."""
    (folder / "rules.yaml").write_text(yaml.safe_dump(rules()))
    tests = []
    for group in rules()["groups"]:
        for rule in group["rules"]:
            expected = []
            if rule["alert"] in fired:
                labels, summary = fired[rule["alert"]]
                annotations = rule["annotations"] | {"summary": summary}
                expected.append({"exp_labels": labels | rule["labels"], "exp_annotations": annotations})
            tests.append({"eval_time": "2h", "alertname": rule["alert"], "exp_alerts": expected})
    given = [{"series": name, "values": value} for name, value in (WELL | series).items() if value is not None]
    test = {"interval": "1m", "input_series": given, "alert_rule_test": tests}
    (folder / "test.yaml").write_text(yaml.safe_dump({"rule_files": ["rules.yaml"], "tests": [test]}))
    promtool("test", "rules", folder / "test.yaml")


@pytest.mark.slow
@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_alerted(case: str, tmp_path: Path) -> None:
    series, name, labels, summary = WRONG[case]
    assert_fired(tmp_path, series, {name: (labels, summary)})


@pytest.mark.slow
@pytest.mark.parametrize("case", FINE)
def test_what_is_fine_alerts_nobody(case: str, tmp_path: Path) -> None:
    assert_fired(tmp_path, FINE[case], {})


# -- kustomize ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_monitoring_goes_to_the_namespace(tmp_path: Path) -> None:
    made = kustomized(tmp_path, "docs/kustomize/monitoring", namespace="data")
    for kind, name in (
        ("PodMonitor", "hsds-bucket-loader"),
        ("PrometheusRule", "hsds-bucket-loader"),
        ("ConfigMap", "hsds-bucket-loader-dashboard"),
    ):
        assert made[kind, name]["metadata"]["namespace"] == "data"
    config_map = made["ConfigMap", "hsds-bucket-loader-dashboard"]
    assert config_map["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(config_map["data"]["dashboard.json"])["title"] == "HSDS bucket loader"
