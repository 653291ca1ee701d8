"""The Kubernetes part without a cluster: manifests against the API's schemas, names that agree, the scripts."""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import BaseModel, ConfigDict, Field

from bucket_loader import __version__, census, child
from bucket_loader.config import KEYS, Config
from bucket_loader.configmap import ONE_CERTIFICATE
from bucket_loader.health import Pulse
from bucket_loader.metrics import WatcherMetrics

ROOT = Path(__file__).resolve().parent.parent
ROLES = {"load": "hsds-bucket-loader", "diff": "hsds-bucket-diff", "watch": "hsds-bucket-watch"}
# the oldest version whose sidecars are on by default, and the newest that the schemas know
VERSIONS = ("1.29", ".".join(kubernetes_validate.latest_version().split(".")[:2]))
# what is not a setting of ours but read by boto3, in our containers and in HSDS's
AWS_KEYS = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
METRICS_PORT = "9464"
LOADER_CONFIG, LOADER_SECRET, AWS_SECRET = "hsds-bucket-loader-config", "hs-loader-keys", "aws-auth-keys"
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
HSDS_CONFIGS = {"hsds-config", "hsds-override"}  # as HSDS's own installation names them

Manifest = dict[str, Any]


def manifests(role: str) -> list[Manifest]:
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


# -- manifests ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("role", ROLES)
def test_manifests_are_what_the_api_takes(role: str, version: str) -> None:
    for manifest in manifests(role):
        kubernetes_validate.validate(manifest, version, strict=True)


@pytest.mark.parametrize("role", ROLES)
def test_names_are_those_of_the_original(role: str) -> None:
    made = deployment(role)
    name = ROLES[role]
    assert made["metadata"]["name"] == name
    # a selector cannot be changed later: with more than this, `kubectl apply` over an older deployment is refused
    assert made["spec"]["selector"]["matchLabels"] == {"app": name}
    labels = made["spec"]["template"]["metadata"]["labels"]
    assert labels["app"] == name
    assert labels["app.kubernetes.io/component"] == role
    assert [item["name"] for item in pod(role)["containers"]] == [role]


@pytest.mark.parametrize("role", ROLES)
def test_image_and_labels_carry_the_version(role: str) -> None:
    assert {item["image"] for item in containers(role).values()} == {f"hdfgroup/hsds-bucket-loader:{__version__}"}
    for metadata in (deployment(role)["metadata"], deployment(role)["spec"]["template"]["metadata"]):
        assert metadata["labels"]["app.kubernetes.io/version"] == __version__


@pytest.mark.parametrize("role", ROLES)
def test_pods_pass_the_restricted_security_standard(role: str) -> None:
    spec = pod(role)
    context = spec["securityContext"]
    assert context["runAsNonRoot"] is True
    assert context["runAsUser"] > 0
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    for container in containers(role).values():
        assert container["securityContext"] == {
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"name": "scratch", "mountPath": "/tmp"} in container["volumeMounts"]
    scratch = next(item for item in spec["volumes"] if item["name"] == "scratch")
    assert scratch["emptyDir"]["sizeLimit"]


@pytest.mark.parametrize("role", ROLES)
def test_every_container_has_requests_and_limits(role: str) -> None:
    for container in containers(role).values():
        resources = container["resources"]
        assert set(resources["requests"]) == set(resources["limits"]) == {"cpu", "memory"}
        assert size(resources["requests"]["memory"]) <= size(resources["limits"]["memory"])


@pytest.mark.parametrize("role", ROLES)
def test_there_is_time_to_give_a_row_back(role: str) -> None:
    grace = pod(role)["terminationGracePeriodSeconds"]
    assert grace >= Config.model_fields["shutdown_grace"].default + child.TERM_SECONDS + 5


@pytest.mark.parametrize("role", ROLES)
def test_services_of_the_namespace_do_not_set_variables(role: str) -> None:
    assert pod(role)["enableServiceLinks"] is False


@pytest.mark.parametrize("role", ["load", "diff"])
def test_own_hsds_starts_first_and_in_order(role: str) -> None:
    dn, sn = pod(role)["initContainers"]
    assert (dn["name"], sn["name"]) == ("dn", "sn")
    for node in (dn, sn):
        # what makes a sidecar of an init container: the next one starts when this one's startup probe passes
        assert node["restartPolicy"] == "Always"
        assert "READY" in node["startupProbe"]["exec"]["command"][2]


def test_own_hsds_of_loaders_and_differs_is_the_same() -> None:
    pairs = zip(pod("load")["initContainers"], pod("diff")["initContainers"], strict=True)
    for loader, differ in pairs:
        # a loader's is patient with a store that is slow to take what it writes; a differ's writes nothing, and would
        # only be slow to say that a chunk cannot be read
        assert variables(loader).pop("DN_MAX_RETRIES")["value"] == "10"
        loader["env"] = [item for item in loader["env"] if item["name"] != "DN_MAX_RETRIES"]
        assert {**loader, "resources": None} == {**differ, "resources": None}
    assert "initContainers" not in pod("watch")


@pytest.mark.parametrize("role", ["load", "diff"])
def test_ports_agree(role: str) -> None:
    dn, sn = pod(role)["initContainers"]
    dn_port, sn_port = (node["ports"][0]["containerPort"] for node in (dn, sn))
    for node in (dn, sn):
        assert f"--dn_urls=http://localhost:{dn_port}" in node["command"]
        port = node["ports"][0]
        assert node["startupProbe"]["exec"]["command"][-1] == str(port["containerPort"])
        assert node["livenessProbe"]["httpGet"]["port"] == port["name"]
    assert yaml.safe_load((ROOT / "config.yml").read_text())["hsds_local"] == f"http://localhost:{sn_port}"
    assert hsds_defaults()["sn_port"] == sn_port


@pytest.mark.parametrize("role", ["load", "diff"])
def test_caches_fit_into_the_data_nodes_memory(role: str) -> None:
    dn = containers(role)["dn"]
    env = {name: variable.get("value") for name, variable in variables(dn).items()}
    caches = size(env["METADATA_MEM_CACHE_SIZE"]) + size(env["CHUNK_MEM_CACHE_SIZE"])
    assert caches < size(dn["resources"]["limits"]["memory"]) / 2
    assert int(env["METADATA_MEM_CACHE_EXPIRE"]) <= 2  # a domain that another pod replaced


@pytest.mark.parametrize("role", ["load", "diff"])
def test_no_other_pod_reaches_the_own_hsds_but_every_one_the_metrics(role: str) -> None:
    policy = next(item for item in manifests(role) if item["kind"] == "NetworkPolicy")
    assert policy["spec"]["podSelector"]["matchLabels"] == {"app": ROLES[role]}
    assert policy["spec"]["policyTypes"] == ["Ingress"]
    (port,) = containers(role)[role]["ports"]
    assert policy["spec"]["ingress"] == [{"ports": [{"port": port["name"], "protocol": "TCP"}]}]


@pytest.mark.parametrize("role", ROLES)
def test_probes_ask_where_the_program_listens(role: str) -> None:
    worker = containers(role)[role]
    (port,) = worker["ports"]
    assert variables(worker)["METRICS_PORT"]["value"] == str(port["containerPort"]) == METRICS_PORT
    assert port["containerPort"] not in (5101, 6101)
    for name in ("startupProbe", "livenessProbe"):
        assert worker[name]["httpGet"] == {"path": "/healthz", "port": port["name"]}
    # what is silent for less than `stuck_after` is never restarted; the probes decide how soon after it
    liveness = worker["livenessProbe"]
    assert liveness["periodSeconds"] * liveness["failureThreshold"] < Config.model_fields["stuck_after"].default
    assert f"The manifests say {METRICS_PORT} (METRICS_PORT)" in (ROOT / "config.yml").read_text()


def test_a_call_that_ends_by_itself_is_no_hang() -> None:
    """S3 clients try five times, connect for up to 10 s and read for up to 60 s: nothing else here waits so long."""
    longest_call = 5 * (10 + 60)
    assert Config.model_fields["stuck_after"].default > longest_call + 60


@pytest.mark.parametrize("role", ["load", "diff"])
def test_a_drained_node_takes_some_pods_and_is_never_held_up(role: str) -> None:
    budget = next(item for item in manifests(role) if item["kind"] == "PodDisruptionBudget")
    assert budget["spec"]["selector"]["matchLabels"] == {"app": ROLES[role]}
    # of one pod, rounded up, one; with minAvailable, a node with the only loader could not be drained
    assert budget["spec"]["maxUnavailable"].endswith("%")


@pytest.mark.parametrize("role", ["load", "diff"])
def test_a_number_of_pods_that_was_scaled_outlives_the_next_apply(role: str) -> None:
    assert "replicas" not in deployment(role)["spec"]
    assert deployment("watch")["spec"]["replicas"] == 1


# -- scaling with the backlog ------------------------------------------------------------------------------------------


class Strict(BaseModel):
    """Fields of KEDA's ScaledObject, by its definition of 2.20.2 (config/crd/bases/keda.sh_scaledobjects.yaml)."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Target(Strict):
    name: str = Field(min_length=1)


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


class ScaledObjectSpec(Strict):
    scaleTargetRef: Target
    minReplicaCount: int = Field(ge=0)
    maxReplicaCount: int = Field(ge=1)
    pollingInterval: int = Field(ge=1)
    cooldownPeriod: int = Field(ge=0)
    triggers: list[Trigger] = Field(min_length=1)


def scaled_objects() -> dict[str, ScaledObjectSpec]:
    found = list(yaml.safe_load_all((ROOT / "k8s_autoscale.yml").read_text()))
    for item in found:
        assert (item["apiVersion"], item["kind"]) == ("keda.sh/v1alpha1", "ScaledObject")
    return {item["metadata"]["name"]: ScaledObjectSpec.model_validate(item["spec"]) for item in found}


def test_loaders_and_differs_scale_to_zero_and_back() -> None:
    found = scaled_objects()
    assert {name: spec.scaleTargetRef.name for name, spec in found.items()} == {
        ROLES[role]: ROLES[role] for role in ("load", "diff")
    }
    assert {spec.minReplicaCount for spec in found.values()} == {0}


def test_what_is_scaled_by_is_what_the_watcher_tells() -> None:
    service = next(item for item in manifests("watch") if item["kind"] == "Service")
    (port,) = service["spec"]["ports"]
    (target,) = containers("watch")["watch"]["ports"]
    assert service["spec"]["selector"] == deployment("watch")["spec"]["selector"]["matchLabels"]
    assert (port["targetPort"], port["port"]) == (target["name"], target["containerPort"])
    metrics = WatcherMetrics(Pulse(1))
    metrics.counted(census.Census())
    families = text_string_to_metric_families(generate_latest(metrics.registry).decode())
    samples = {(sample.name, *sample.labels.items()) for family in families for sample in family.samples}
    states = {"load": ("new", "loading"), "diff": ("loaded", "checking")}
    for role, spec in ((role, scaled_objects()[ROLES[role]]) for role in states):
        assert [trigger.name for trigger in spec.triggers] == ["waiting", "in-work"]
        for trigger, state in zip(spec.triggers, states[role], strict=True):
            where = trigger.metadata
            assert where.url == f"http://{service['metadata']['name']}.default.svc:{port['port']}/metrics"
            assert where.format == "prometheus"
            selector = re.fullmatch(r'(\w+)\{(\w+)="(\w+)"\}', where.valueLocation)
            assert selector is not None
            assert selector[3] == state
            assert (selector[1], (selector[2], selector[3])) in samples
        # pods that still have a row in work are not taken away
        assert spec.triggers[1].metadata.targetValue == str(Config.model_fields["workers"].default)


# -- names that agree --------------------------------------------------------------------------------------------------


def hsds_defaults() -> Manifest:
    return yaml.safe_load((files("admin.config") / "config.yml").read_text())


@pytest.mark.parametrize("role", ROLES)
def test_variables_are_settings(role: str) -> None:
    worker = containers(role)[role]
    assert {name.lower() for name in variables(worker) if name not in AWS_KEYS} <= set(KEYS)
    for name in ("POD_NAME", "HS_USERNAME", "HS_PASSWORD"):
        assert name in variables(worker)
    for node in pod(role).get("initContainers", ()):
        assert {name.lower() for name in variables(node)} <= {*hsds_defaults(), "aws_ca_bundle"}
    for container in containers(role).values():
        assert len(variables(container)) == len(container["env"])  # none twice


@pytest.mark.parametrize("role", ROLES)
def test_config_is_mounted_where_it_is_looked_for(role: str) -> None:
    volumes = {item["name"]: item for item in pod(role)["volumes"]}
    for name, container in containers(role).items():
        mounted = {mount["mountPath"]: volumes[mount["name"]] for mount in container["volumeMounts"]}
        if name == role:
            assert mounted["/config"]["configMap"] == {"name": LOADER_CONFIG}
            continue
        # some keys of our config.yml and of HSDS's have the same name: it must not see ours
        sources = mounted["/config"]["projected"]["sources"]
        assert {item["configMap"]["name"] for item in sources} == HSDS_CONFIGS
        assert all(item["configMap"]["optional"] for item in sources)
        password_file = Path(variables(container)["PASSWORD_FILE"]["value"])
        secret = mounted[str(password_file.parent)]["secret"]
        assert secret["secretName"] == LOADER_SECRET
        assert secret["items"] == [{"key": "user-password.txt", "path": password_file.name}]


def test_secrets_are_what_the_script_makes(scripts: Scripts) -> None:
    run = scripts.make_secrets("--dry-run", AWS_ACCESS_KEY_ID="AK", AWS_SECRET_ACCESS_KEY="SK", **LOGIN)
    made = {item["metadata"]["name"]: set(item["data"]) for item in yaml.safe_load_all(run.stdout)}
    used: dict[str, set[str]] = {LOADER_SECRET: {"user-password.txt"}}
    for role in ROLES:
        for name, key, optional in references(role, "secretKeyRef"):
            used.setdefault(name, set()).add(key)
            # pods with a role have no keys
            assert optional == (name == AWS_SECRET)
    assert made == used


def test_config_map_is_what_the_script_makes(scripts: Scripts) -> None:
    settings = scripts.settings(tgt_bucket="target")
    made = yaml.safe_load(scripts.make_configmap("--dry-run", "-f", str(settings)).stdout)
    assert made["metadata"]["name"] == LOADER_CONFIG
    assert made["data"].pop("config.yml") == settings.read_text()
    used = {(name, key) for role in ROLES for name, key, _ in references(role, "configMapKeyRef")}
    assert used == {(LOADER_CONFIG, key) for key in made["data"]}
    assert set(made["data"]) <= {*KEYS, "aws_ca_bundle"}
    # HSDS's names of the same
    names = {key: {"tgt_bucket": "BUCKET_NAME"}.get(key, key.upper()) for key in made["data"]}
    for node in pod("load")["initContainers"]:
        for key, name in names.items():
            assert variables(node)[name]["valueFrom"]["configMapKeyRef"]["key"] == key


@pytest.mark.parametrize(
    "path", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda path: path.name
)
def test_documents_name_what_is_there(path: Path) -> None:
    if not path.exists():
        pytest.skip(f"there is no {path.name}")
    text = path.read_text()
    for name in set(re.findall(r"\b(?:k8s_\w+|make_configmap)\.(?:yml|sh)\b", text)):
        assert (ROOT / name).exists(), name
    for name in set(re.findall(r"\b(?:deployments?|scaledobjects?)/([\w-]+)", text)) - {"NAME", "hsds"}:
        assert name in ROLES.values(), name
    known = {*ROLES.values(), LOADER_CONFIG, LOADER_SECRET, AWS_SECRET, *HSDS_CONFIGS, "hsds-bucket-loader"}
    assert not set(re.findall(r"\b9\d\d\d\b", text)) - {METRICS_PORT, "9000"}
    for name in set(re.findall(r"(?<![\w/-])(?:hs-loader|aws-auth|hsds-bucket|hsds-config|hsds-override)[\w-]*", text)):
        assert name in known, name


# -- the image ---------------------------------------------------------------------------------------------------------


def dockerfile() -> list[str]:
    joined = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text())
    return [line for line in joined.splitlines() if line and not line.startswith("#")]


def test_image_runs_python_without_a_shell_as_nobody() -> None:
    lines = dockerfile()
    assert 'ENTRYPOINT ["python"]' in lines
    assert 'CMD ["loader.py"]' in lines
    user = next(line for line in lines if line.startswith("USER ")).split()[1]
    assert user == f"{pod('load')['securityContext']['runAsUser']}:{pod('load')['securityContext']['runAsGroup']}"


def test_image_has_the_scripts_that_the_pods_run() -> None:
    copied = [word for line in dockerfile() if re.match(r"COPY (?!--from)", line) for word in line.split()[1:-1]]
    for role in ROLES:
        (script,) = containers(role)[role]["args"]
        assert script in copied
    let_in = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert sorted(copied) == sorted(let_in)
    assert all((ROOT / name).exists() for name in copied)


def test_image_is_built_with_the_makefiles_uv() -> None:
    (wanted,) = re.findall(r"^UV_VERSION := (\S+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert f"ARG UV_VERSION={wanted}" in dockerfile()


# -- the scripts -------------------------------------------------------------------------------------------------------

LOGIN = {"HS_USERNAME": "john", "HS_PASSWORD": "not-a-secret"}
# stands for kubectl and for the programs that a value might be handed to: notes its arguments, and kubectl its input
SPY = """#!/bin/sh
for word in "$@"; do printf '%s\\n' "{name} $word" >> {log}/argv; done
{then}
"""


@dataclass
class Scripts:
    """The two scripts with a kubectl that only takes notes, in a home and a temporary folder that must stay empty."""

    folder: Path
    bash: str

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def argv(self) -> str:
        path = self.log / "argv"
        return path.read_text() if path.exists() else ""

    @property
    def applied(self) -> list[Manifest]:
        path = self.log / "stdin"
        return list(yaml.safe_load_all(path.read_text())) if path.exists() else []

    def left_behind(self) -> list[Path]:
        return [path for path in (self.folder / "home").rglob("*") if path.is_file()]

    def make_secrets(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return self._run("k8s_make_secrets.sh", arguments, env)

    def make_configmap(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return self._run("make_configmap.sh", arguments, {"PYTHON": sys.executable, **env})

    def _run(self, script: str, arguments: tuple[str, ...], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
        home = str(self.folder / "home")
        base = {"PATH": f"{self.folder / 'bin'}:/usr/bin:/bin", "HOME": home, "TMPDIR": home, "LC_ALL": "C.UTF-8"}
        command = [self.bash, str(ROOT / script), *arguments]
        return subprocess.run(command, env=base | env, cwd=home, text=True, capture_output=True, timeout=60)

    def settings(self, **values: object) -> Path:
        good = {
            "src_bucket": "source",
            "tgt_folder": "/home/john/data/",
            "inventory_domain": "/home/john/inventory.h5",
            "hsds_endpoint": "http://hsds:5101",
            "hsds_local": "http://localhost:5101",
            "aws_s3_gateway": "http://minio:9000",
            "aws_region": "eu-west-1",
            "tgt_bucket": "target",
        }
        path = self.folder / "prod.yml"
        path.write_text("# ours\n" + yaml.safe_dump(good | values))
        return path


@pytest.fixture
def scripts(tmp_path: Path) -> Scripts:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash")
    for name in ("bin", "home", "log"):
        (tmp_path / name).mkdir()
    log = shlex.quote(str(tmp_path / "log"))
    for name in ("kubectl", "base64", "tr", "python3"):
        real = shutil.which(name)
        then = f"cat >> {log}/stdin" if name == "kubectl" else f'exec {shlex.quote(real or name)} "$@"'
        spy = tmp_path / "bin" / name
        spy.write_text(SPY.format(name=name, log=log, then=then))
        spy.chmod(0o755)
    return Scripts(tmp_path, bash)


def decoded(manifest: Manifest) -> dict[str, str]:
    return {key: base64.b64decode(value, validate=True).decode() for key, value in manifest["data"].items()}


@pytest.mark.parametrize(
    "password",
    [
        "plain",
        "two  words and 'single' and \"double\" quotes",
        "$HOME `id` $(id) \\ %s \\n !! * ~ #",
        "-n -e",
        "schlüssel-密码-🔑",
        "x" * 200,  # base64 breaks lines at 76
    ],
)
def test_any_password_arrives_as_it_is(scripts: Scripts, password: str) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "AKIA" + "Q" * 16, "AWS_SECRET_ACCESS_KEY": "se/cr+et=" + password}
    run = scripts.make_secrets(HS_USERNAME="john", HS_PASSWORD=password, **keys)
    assert run.returncode == 0, run.stderr
    loader, aws = scripts.applied
    assert loader["metadata"]["name"] == LOADER_SECRET
    assert decoded(loader) == {
        "hs_username": "john",
        "hs_password": password,
        "user-password.txt": f"john:{password}",
    }
    assert aws["metadata"]["name"] == AWS_SECRET
    assert decoded(aws) == {name.lower(): value for name, value in keys.items()}
    for secret in (*decoded(loader).values(), *decoded(aws).values(), *loader["data"].values(), *aws["data"].values()):
        if secret != "john" and secret != "plain":
            assert secret not in scripts.argv + run.stdout + run.stderr
    assert scripts.left_behind() == []
    for manifest in (loader, aws):
        kubernetes_validate.validate(manifest, VERSIONS[1], strict=True)


def test_secrets_go_to_the_namespace_and_can_be_made_again(scripts: Scripts) -> None:
    for option in (["-n", "ours"], ["--namespace", "ours"], ["--namespace=ours"]):
        assert scripts.make_secrets(*option, **LOGIN).returncode == 0
    assert scripts.argv.count("kubectl --namespace=ours\n") == 3
    assert scripts.argv.count("kubectl apply\n") == 3
    assert "create" not in scripts.argv


def test_no_aws_keys_no_secret_of_them(scripts: Scripts) -> None:
    run = scripts.make_secrets(**LOGIN)
    assert [item["metadata"]["name"] for item in scripts.applied] == [LOADER_SECRET]
    assert "role" in run.stderr


@pytest.mark.parametrize(
    ("env", "says"),
    [
        ({"HS_PASSWORD": "opensesame"}, "HS_USERNAME is not set"),
        ({"HS_USERNAME": "john"}, "HS_PASSWORD is not set"),
        ({"HS_USERNAME": "john", "HS_PASSWORD": ""}, "HS_PASSWORD is not set"),
        ({"HS_USERNAME": "john:x", "HS_PASSWORD": "opensesame"}, "HS_USERNAME holds a colon"),
        ({"HS_USERNAME": "john", "HS_PASSWORD": "opense:same"}, "HS_PASSWORD holds a colon"),
        ({"HS_USERNAME": "#john", "HS_PASSWORD": "opensesame"}, "HS_USERNAME starts with #"),
        ({"HS_USERNAME": "john", "HS_PASSWORD": "opense\nsame"}, "HS_PASSWORD holds a line break"),
        ({"HS_USERNAME": "john", "HS_PASSWORD": "opensesame "}, "HS_PASSWORD starts or ends with a space"),
        ({"HS_USERNAME": "john", "HS_PASSWORD": "xy"}, "HS_PASSWORD is too short"),
        ({**LOGIN, "AWS_ACCESS_KEY_ID": "AK"}, "AWS_SECRET_ACCESS_KEY is not set"),
        ({**LOGIN, "AWS_SECRET_ACCESS_KEY": "SK"}, "AWS_ACCESS_KEY_ID is not set"),
        (
            {**LOGIN, "AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": "SK", "AWS_SESSION_TOKEN": "T"},
            "AWS_SESSION_TOKEN is set",
        ),
    ],
)
def test_what_cannot_be_a_secret_is_one_line(scripts: Scripts, env: dict[str, str], says: str) -> None:
    run = scripts.make_secrets(**env)
    assert run.returncode == 2
    (line,) = run.stderr.splitlines()
    assert says in line
    assert "opense" not in line
    assert scripts.applied == []


@pytest.mark.parametrize("script", ["k8s_make_secrets.sh", "make_configmap.sh"])
def test_scripts_explain_themselves(scripts: Scripts, script: str) -> None:
    helped = scripts._run(script, ("-h",), {})
    assert helped.returncode == 0
    assert helped.stdout.startswith(f"usage: {script} ")
    for wrong in (("--nonsense",), ("-n",)):
        run = scripts._run(script, wrong, LOGIN)
        assert run.returncode == 2
        assert len(run.stderr.splitlines()) == 1


@pytest.mark.parametrize("script", ["k8s_make_secrets.sh", "make_configmap.sh"])
def test_without_kubectl_there_is_one_line_and_a_dry_run(scripts: Scripts, script: str) -> None:
    # a PATH with what the scripts use, and without a kubectl
    bin_folder = scripts.folder / "bin"
    (bin_folder / "kubectl").unlink()
    for name in ("dirname", "env"):
        (bin_folder / name).symlink_to(shutil.which(name) or name)
    env = {**LOGIN, "PATH": str(bin_folder), "PYTHON": sys.executable}
    arguments = ("-f", str(scripts.settings())) if script == "make_configmap.sh" else ()
    run = scripts._run(script, arguments, env)
    assert run.returncode == 2
    assert "kubectl is not on PATH" in run.stderr
    assert scripts._run(script, (*arguments, "--dry-run"), env).returncode == 0


def test_dry_run_of_secrets_shows_no_value_and_applies_nothing(scripts: Scripts) -> None:
    run = scripts.make_secrets("--dry-run", HS_USERNAME="john", HS_PASSWORD="not-a-secret")
    assert run.returncode == 0
    encoded = base64.b64encode(b"not-a-secret").decode()
    assert "not-a-secret" not in run.stdout + run.stderr
    assert encoded not in run.stdout + run.stderr
    assert "hs_password: (masked)" in run.stdout
    assert scripts.applied == []
    assert "kubectl" not in scripts.argv


def test_config_map_is_applied_with_the_values_for_hsds(scripts: Scripts) -> None:
    settings = scripts.settings()
    # what points a desktop to the outside is not for the pods
    run = scripts.make_configmap("-f", str(settings), "-n", "ours", HSDS_ENDPOINT="https://hsds.example.org")
    assert run.returncode == 0, run.stderr
    (made,) = scripts.applied
    kubernetes_validate.validate(made, VERSIONS[1], strict=True)
    assert made["data"] == {
        "config.yml": settings.read_text(),
        "aws_s3_gateway": "http://minio:9000",
        "aws_region": "eu-west-1",
        "tgt_bucket": "target",
        "aws_ca_bundle": ONE_CERTIFICATE,
    }
    assert "kubectl --namespace=ours\n" in scripts.argv
    assert "kubectl apply\n" in scripts.argv


@pytest.mark.parametrize(
    ("gateway", "needs_certificates"),
    [
        ("http://minio:9000", False),
        ("https://minio:9000", True),
        ("http://s3.us-west-2.amazonaws.com", True),  # a role's tokens come over https all the same
        (None, True),
    ],
)
def test_own_hsds_keeps_the_certificates_that_it_needs(
    scripts: Scripts, gateway: str | None, needs_certificates: bool
) -> None:
    run = scripts.make_configmap("-f", str(scripts.settings(aws_s3_gateway=gateway)), "--dry-run")
    assert ("aws_ca_bundle" not in yaml.safe_load(run.stdout)["data"]) is needs_certificates
    (makes,) = [line for line in dockerfile() if Path(ONE_CERTIFICATE).name in line]
    assert f"/opt/hsds/{Path(ONE_CERTIFICATE).name}" in makes
    assert "COPY --from=build /opt/hsds /etc/hsds" in dockerfile()


def test_config_map_has_the_override_and_its_values(scripts: Scripts) -> None:
    settings = scripts.settings()
    settings.with_name("override.yml").write_text("tgt_bucket: other\naws_s3_gateway: null\n")
    (made,) = yaml.safe_load_all(scripts.make_configmap("-f", str(settings), "--dry-run").stdout)
    assert made["data"]["override.yml"] == "tgt_bucket: other\naws_s3_gateway: null\n"
    assert made["data"]["tgt_bucket"] == "other"
    assert made["data"]["aws_s3_gateway"] == "https://s3.amazonaws.com"
    assert scripts.applied == []


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"src_bucket": "SupplyCorrectValue"}, "src_bucket (in FILE) still says SupplyCorrectValue"),
        ({"workers": "many"}, "workers: 'many' (in FILE) must be a whole number"),
        ({"src_bukket": "x"}, "src_bukket (in FILE) is not a setting; did you mean src_bucket?"),
        ({"hs_password": "not-a-secret"}, "hs_password is in the settings"),
        ({"hsds_endpoint": "http://localhost:5101"}, "to a pod is the pod itself"),
    ],
)
def test_settings_that_pods_could_not_use_are_refused(scripts: Scripts, values: dict[str, object], says: str) -> None:
    settings = scripts.settings(**values)
    run = scripts.make_configmap("-f", str(settings))
    assert run.returncode == 2
    assert says.replace("FILE", str(settings)) in run.stderr
    assert "not-a-secret" not in run.stderr
    assert "Traceback" not in run.stderr
    assert scripts.applied == []


def test_a_python_without_the_packages_is_one_line(scripts: Scripts) -> None:
    bare = scripts.folder / "bare"
    bare.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -S -E "$@"\n')
    bare.chmod(0o755)
    run = scripts.make_configmap("-f", str(scripts.settings()), PYTHON=str(bare))
    assert run.returncode == 2
    (line,) = run.stderr.splitlines()
    assert "lacks the packages" in line


def test_config_map_of_no_file(scripts: Scripts) -> None:
    run = scripts.make_configmap("-f", "nowhere.yml")
    assert (run.returncode, run.stderr) == (2, "make_configmap.sh: there is no file nowhere.yml\n")


def test_shellcheck_has_nothing_to_say() -> None:
    shellcheck = Path(sysconfig.get_path("scripts"), "shellcheck")
    found = subprocess.run(
        [shellcheck, "--format=json", *ROOT.glob("*.sh")], text=True, capture_output=True, timeout=60
    ).stdout
    assert json.loads(found) == []
    assert all(os.access(path, os.X_OK) for path in ROOT.glob("*.sh"))
