"""`make e2e` over a real cluster, with a kubectl that takes notes (no test here has a cluster); and when it is skipped.

What is shown: the sequence of commands, that what they apply is valid for the API, and what is changed in the manifests
(the image alone). That a cluster does with it what podman does is shown where E2E_IMAGE is set and kubectl reaches one.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.e2e import kubectl, run
from tests.e2e.common import IMAGE, ROOT, Failed, manifests

# notes its arguments and input; answers what `answers.json` says for the first text of it that its arguments hold
FAKE = """#!{python}
import json, pathlib, sys
folder = pathlib.Path({folder!r})
line = " ".join(sys.argv[1:])
text = sys.stdin.read() if "--filename=-" in sys.argv else ""
with open(folder / "calls", "a") as calls:
    calls.write(json.dumps([line, text]) + "\\n")
answers = json.loads((folder / "answers.json").read_text())
answer, status = next((answers[key] for key in answers if key in line), ["", 0])
print(answer)
sys.exit(status)
"""


class Recorder:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.answer({})

    def answer(self, answers: dict[str, tuple[str, int]]) -> None:
        standard = {"config current-context": ("test-context", 0)}
        (self.folder / "answers.json").write_text(json.dumps(answers | standard))

    @property
    def calls(self) -> list[str]:
        path = self.folder / "calls"
        return [json.loads(line)[0] for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def applied(self) -> list[dict[str, Any]]:
        lines = (self.folder / "calls").read_text().splitlines()
        texts = [json.loads(line)[1] for line in lines]
        return [item for text in texts if text for item in yaml.safe_load_all(text)]


@pytest.fixture
def recorder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    path = tmp_path / "kubectl"
    path.write_text(FAKE.format(python=sys.executable, folder=str(tmp_path)))
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return Recorder(tmp_path)


def names(*pods: str) -> str:
    return json.dumps({"items": [{"metadata": {"name": name}} for name in pods]})


def test_a_cluster_is_used_when_it_answers_and_can_have_the_image(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "Podman", lambda folder: "podman")
    monkeypatch.setenv("E2E_IMAGE", "ours/loader:7")
    chosen = run.choose(tmp_path, measuring=False)
    assert isinstance(chosen, kubectl.Kubectl)
    assert (
        "on the cluster of the context test-context, namespace hsds-e2e, image ours/loader:7" in capsys.readouterr().out
    )
    monkeypatch.delenv("E2E_IMAGE")
    assert run.choose(tmp_path, measuring=False) == "podman"
    assert "E2E_IMAGE does not say" in capsys.readouterr().out
    recorder.answer({"/readyz": ("refused", 1)})
    monkeypatch.setenv("E2E_IMAGE", "ours/loader:7")
    assert run.choose(tmp_path, measuring=False) == "podman"


@pytest.mark.slow
def test_what_is_applied_is_valid_and_differs_in_the_image_alone(recorder: Recorder) -> None:
    place = kubectl.Kubectl("ours/loader:7")
    place.begin()
    place.start_s3("key", "word")
    place.start_hsds()
    for forward in place._forwards:
        forward.wait(10)
    before = len(recorder.applied)
    for role in ("watch", "load", "diff"):
        place.apply(role)
    for manifest in recorder.applied:
        kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)
    ours = [item for role in ("watch", "load", "diff") for item in manifests(role)]
    applied = json.dumps(recorder.applied[before:])
    assert json.loads(applied.replace("ours/loader:7", IMAGE)) == ours
    assert "ours/loader:7" in applied
    namespace = recorder.applied[0]
    assert namespace["metadata"]["labels"] == {"pod-security.kubernetes.io/enforce": "restricted"}
    for made in recorder.applied[:before]:
        if made["kind"] == "Deployment":
            spec = made["spec"]["template"]["spec"]
            assert spec["securityContext"]["runAsNonRoot"] is True
            for container in spec["containers"]:
                assert container["securityContext"]["allowPrivilegeEscalation"] is False
                assert "restartPolicy" not in container


@pytest.mark.slow
def test_the_commands_of_a_run(recorder: Recorder) -> None:
    recorder.answer({"get pods --selector=app=hsds-bucket-loader": (names("b", "a"), 0)})
    place = kubectl.Kubectl("ours/loader:7")
    place.begin()
    place.start_hsds()
    for forward in place._forwards:
        forward.wait(10)
    place.apply("load")
    place.scale("load", 2)
    assert place.pods("hsds-bucket-loader") == ["a", "b"]
    place.execute("a", "load", "python", "-c", "pass")
    place.kill("a")
    place.remove()
    where = "--namespace=hsds-e2e "
    assert recorder.calls == [
        "config current-context",
        "apply --filename=-",
        where + "apply --filename=-",
        where + "rollout status deployment/hsds-e2e-cluster --timeout=300s",
        where + "port-forward service/hsds-e2e-cluster 15101:5101",
        where + "apply --filename=-",
        where + "scale --replicas=2 deployment/hsds-bucket-loader",
        where + "get pods --selector=app=hsds-bucket-loader --output=json",
        where + "get pods --selector=app=hsds-bucket-loader --output=json",
        where + "exec a --container=load -- python -c pass",
        where + "delete pod a --grace-period=0 --force --wait=false",
        "delete namespace hsds-e2e --ignore-not-found --timeout=150s",
    ]


def test_a_missing_secret_is_told_by_the_pods_events(recorder: Recorder) -> None:
    pods = "get pods --selector=app=hsds-bucket-loader"
    place = kubectl.Kubectl("ours/loader:7")
    place.fresh = lambda role: "pod-1"  # type: ignore[method-assign]
    event = 'Warning  FailedMount  3s  kubelet  MountVolume.SetUp failed: secret "hs-loader-keys" not found'
    recorder.answer({pods: (names("pod-1"), 0), "describe pod pod-1": (f"Events:\n  {event}", 0)})
    assert place.without_secret("load", "hs-loader-keys") == event
    assert "--namespace=hsds-e2e delete secret hs-loader-keys" in recorder.calls


def test_a_container_that_was_restarted_does_not_wait(recorder: Recorder) -> None:
    def status(state: str, restarts: int) -> tuple[str, int]:
        found = {"name": "load", "state": {state: {}}, "restartCount": restarts}
        return json.dumps({"status": {"containerStatuses": [found]}}), 0

    place = kubectl.Kubectl("ours/loader:7")
    for state, restarts, good in (("running", 0, True), ("running", 1, False), ("waiting", 0, False)):
        recorder.answer({"get pod a": status(state, restarts)})
        assert place.running("a", "load") is good


def test_a_command_that_fails_says_what_kubectl_said(recorder: Recorder) -> None:
    recorder.answer({"scale": ("error: forbidden", 1)})
    place = kubectl.Kubectl("ours/loader:7")
    with pytest.raises(Failed, match="forbidden"):
        place.scale("load", 2)
    assert shlex.split(recorder.calls[-1])[1:] == ["scale", "--replicas=2", "deployment/hsds-bucket-loader"]


@pytest.mark.slow
def test_a_machine_without_podman_is_skipped_loudly_and_left_as_it_is(tmp_path: Path) -> None:
    env = {key: value for key, value in os.environ.items() if key != "CI"} | {"PATH": str(tmp_path)}
    command = [sys.executable, str(ROOT / "tests" / "e2e" / "run.py")]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("E2E SKIPPED, NOTHING WAS TESTED: podman, runc, debootstrap, catatonit missing: ")
