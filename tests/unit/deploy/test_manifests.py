"""The Kubernetes part without a cluster: manifests against the API's schemas, names that agree, the scripts."""

from __future__ import annotations

import http.server
import json
import re
import subprocess
import sys
import threading
from importlib.resources import files
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from bucket_loader import __version__
from bucket_loader.children import supervise
from bucket_loader.config import KEYS, Config
from bucket_loader.deploy import hsds_node
from bucket_loader.deploy.hsds_node import NODES
from bucket_loader.local.servers import LOADER_SETTINGS, POD_SETTINGS

from .manifests import (
    AWS_KEYS,
    AWS_SECRET,
    DOCUMENTS,
    HSDS_CONFIGS,
    LOADER_CONFIG,
    LOADER_SECRET,
    METRICS_PORT,
    ROLES,
    ROOT,
    VERSIONS,
    Manifest,
    containers,
    deployment,
    dockerfile,
    manifests,
    pod,
    size,
    variables,
)

# -- manifests ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("role", ROLES)
def test_manifests_are_what_the_api_takes(role: str, version: str) -> None:
    for manifest in manifests(role):
        kubernetes_validate.validate(manifest, version, strict=True)


@pytest.mark.parametrize("role", ["load", "diff"])
def test_a_node_is_not_emptied_under_a_load_of_hours(role: str) -> None:
    annotations = deployment(role)["spec"]["template"]["metadata"]["annotations"]
    assert annotations["cluster-autoscaler.kubernetes.io/safe-to-evict"] == "false"


# -- each manifest -----------------------------------------------------------------------------------------------------


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
        (scratch,) = [mount["name"] for mount in container["volumeMounts"] if mount["mountPath"] == "/tmp"]
        # what fills it up is not in the way of the other containers
        assert (scratch == "scratch") == (container["name"] == role)
        volume = next(item for item in spec["volumes"] if item["name"] == scratch)
        # what is there counts as the pod's; the rest is for logs
        assert size(volume["emptyDir"]["sizeLimit"]) < size(container["resources"]["limits"]["ephemeral-storage"])


@pytest.mark.parametrize("role", ROLES)
def test_every_container_has_requests_and_limits(role: str) -> None:
    for container in containers(role).values():
        resources = container["resources"]
        assert set(resources["requests"]) == set(resources["limits"]) == {"cpu", "memory", "ephemeral-storage"}
        for name in ("memory", "ephemeral-storage"):
            assert size(resources["requests"][name]) <= size(resources["limits"][name])


def test_a_loader_asks_for_the_cpu_that_the_documents_say() -> None:
    asked = [item["resources"]["requests"]["cpu"] for item in containers("load").values()]
    total = sum(float(cpu[:-1]) / 1000 if str(cpu).endswith("m") else float(cpu) for cpu in asked)
    said = [
        (path.name, number)
        for path in DOCUMENTS
        for number in re.findall(r"loader[^.\n|]{0,40} keeps (?:about )?([\d.]+) cpu busy", path.read_text())
    ]
    assert {number for _, number in said} == {f"{total:g}"} and len(said) == 2


def test_after_a_change_of_a_secret_all_pods_are_restarted() -> None:
    restarts = [
        (path.name, line)
        for path in DOCUMENTS
        for line in path.read_text().splitlines()
        if "kubectl rollout restart" in line
        and "hsds-bucket-watch" not in line  # of another bucket, the watcher's alone
    ]
    assert len(restarts) >= 3
    assert all(
        "rollout restart deployment -l app.kubernetes.io/name=hsds-bucket-loader" in line for _, line in restarts
    )


@pytest.mark.parametrize("role", ["load", "diff"])
def test_children_fit_into_their_container(role: str) -> None:
    fields = Config.model_fields
    parents = 200 << 20  # the worker, and the process that forks
    wanted = fields["workers"].default * fields["child_memory_limit"].default + parents
    assert wanted <= size(containers(role)[role]["resources"]["limits"]["memory"])
    output = fields["workers"].default * fields["child_output_limit"].default
    scratch = next(item for item in pod(role)["volumes"] if item["name"] == "scratch")
    assert output <= size(scratch["emptyDir"]["sizeLimit"]) / 2


@pytest.mark.parametrize("role", ROLES)
def test_there_is_time_to_give_a_row_back(role: str) -> None:
    grace = pod(role)["terminationGracePeriodSeconds"]
    assert grace >= Config.model_fields["shutdown_grace"].default + supervise.TERM_SECONDS + 5


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
        assert "DN_MAX_RETRIES" not in variables(differ)
        # a differ's must see what other pods replaced, a loader's reads what it wrote itself
        for node, settings in ((loader, LOADER_SETTINGS), (differ, POD_SETTINGS)):
            expires = str(settings["metadata_mem_cache_expire"])
            assert variables(node)["METADATA_MEM_CACHE_EXPIRE"]["value"] == expires
            own = ("DN_MAX_RETRIES", "METADATA_MEM_CACHE_EXPIRE")
            node["env"] = [item for item in node["env"] if item["name"] not in own]
        assert {**loader, "resources": None} == {**differ, "resources": None}
    assert "initContainers" not in pod("watch")


@pytest.mark.parametrize("role", ["load", "diff"])
def test_the_pods_own_hsds_listens_within_the_pod_alone(role: str) -> None:
    settings = hsds_defaults()
    for kind, node in zip(NODES, pod(role)["initContainers"], strict=True):
        assert node["command"] == ["python", "-m", hsds_node.__name__, kind]
        assert f"--dn_urls=http://{hsds_node.HOST}:{settings['dn_port']}" in node["args"]
        assert "ports" not in node, "nobody else is told of it"
        port = str(settings["dn_port" if kind == "datanode" else "sn_port"])
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            if probe in node:
                assert node[probe]["exec"]["command"][3] == port, "the kubelet's own requests come from outside"
    local = yaml.safe_load((ROOT / "config.yml").read_text())["hsds_local"]
    assert local == f"http://localhost:{settings['sn_port']}"


@pytest.mark.parametrize(
    ("state", "asked", "status"),
    [("READY", [], 0), ("WAITING", [], 1), ("WAITING", ["in any state"], 0), (None, ["in any state"], 1)],
)
def test_a_probe_says_what_a_node_says(state: str | None, asked: list[str], status: int) -> None:
    class Node(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if state else 500)
            self.end_headers()
            self.wfile.write(json.dumps({"state": state}).encode())

    script = containers("load")["dn"]["startupProbe"]["exec"]["command"][2]
    with http.server.HTTPServer((hsds_node.HOST, 0), Node) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        done = subprocess.run([sys.executable, "-c", script, str(server.server_port), *asked], capture_output=True)
    assert done.returncode == status, done.stderr


@pytest.mark.parametrize("role", ["load", "diff"])
def test_caches_fit_into_the_data_nodes_memory(role: str) -> None:
    dn = containers(role)["dn"]
    env = {name: variable.get("value") for name, variable in variables(dn).items()}
    caches = size(env["METADATA_MEM_CACHE_SIZE"]) + size(env["CHUNK_MEM_CACHE_SIZE"])
    assert caches < size(dn["resources"]["limits"]["memory"]) / 2


@pytest.mark.parametrize("role", ROLES)
def test_no_other_pod_reaches_more_than_the_metrics(role: str) -> None:
    policy = next(item for item in manifests(role) if item["kind"] == "NetworkPolicy")
    labels = deployment(role)["spec"]["template"]["metadata"]["labels"]
    assert policy["spec"]["podSelector"]["matchLabels"] == {
        name: labels[name] for name in ("app.kubernetes.io/name", "app.kubernetes.io/component")
    }
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
    assert worker["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": port["name"]}
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
        assert {name.lower() for name in variables(node)} <= set(hsds_defaults())
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
        # a pod's name is its deployment's, with two random parts
        assert re.sub(r"-[0-9a-f]{5,10}-[a-z0-9]{5}$", "", name) in known, name


# -- the image ---------------------------------------------------------------------------------------------------------


def test_image_runs_python_without_a_shell_as_nobody() -> None:
    lines = dockerfile()
    assert 'ENTRYPOINT ["python"]' in lines
    assert 'CMD ["loader.py"]' in lines
    user = next(line for line in lines if line.startswith("USER ")).split()[1]
    assert user == f"{pod('load')['securityContext']['runAsUser']}:{pod('load')['securityContext']['runAsGroup']}"


def test_image_has_the_settings_of_hsds_where_it_looks_for_them() -> None:
    (makes,) = [line for line in dockerfile() if "bucket_loader.deploy.hsds_config >" in line]
    assert "> /opt/hsds/config.yml" in makes
    assert "COPY --from=build /opt/hsds /etc/hsds" in dockerfile()


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
