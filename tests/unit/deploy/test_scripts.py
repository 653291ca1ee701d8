"""The two scripts that make Secrets and ConfigMap, with a kubectl that only takes notes."""

from __future__ import annotations

import base64
import json
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from bucket_loader.config import KEYS
from tests import kube_api
from tests.kube_api import KubeApi
from tests.unit.deploy.manifests import (
    AWS_SECRET,
    LOADER_CONFIG,
    LOADER_SECRET,
    ROLES,
    ROOT,
    VERSIONS,
    Manifest,
    deployment,
    pod,
    references,
    variables,
)

pytestmark = pytest.mark.slow  # each runs the scripts, some of them several times
LOGIN = {"HS_USERNAME": "john", "HS_PASSWORD": "not-a-secret"}
KEYS_OF_PODS = {"AWS_ACCESS_KEY_ID": "AK-of-pods", "AWS_SECRET_ACCESS_KEY": "SK-of-pods"}
# stands for kubectl and for the programs that a value might be handed to: notes its arguments, and kubectl its input
SPY = """#!/bin/sh
for word in "$@"; do printf '%s\\n' "{name} $word" >> {log}/argv; done
{then}
"""

KUBECTL = """env >> {log}/env
case "$*" in
*'config view'*) echo "here|ours|http://cluster:6443";;
*' get secret '*) ;;
*) cat >> {log}/stdin;;
esac"""


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
        then = KUBECTL.format(log=log) if name == "kubectl" else f'exec {shlex.quote(real or name)} "$@"'
        spy = tmp_path / "bin" / name
        spy.write_text(SPY.format(name=name, log=log, then=then))
        spy.chmod(0o755)
    return Scripts(tmp_path, bash)


def decoded(manifest: Manifest) -> dict[str, str]:
    return {key: base64.b64decode(value, validate=True).decode() for key, value in manifest["data"].items()}


# -- names that agree with the manifests ---------------------------------------------------------------------------


def test_secrets_are_what_the_script_makes(scripts: Scripts) -> None:
    run = scripts.make_secrets("--aws-keys", "--dry-run", **KEYS_OF_PODS, **LOGIN)
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
    assert set(made["data"]) <= set(KEYS)
    # HSDS's names of the same
    names = {key: {"tgt_bucket": "BUCKET_NAME"}.get(key, key.upper()) for key in made["data"]}
    for node in pod("load")["initContainers"]:
        for key, name in names.items():
            assert variables(node)[name]["valueFrom"]["configMapKeyRef"]["key"] == key


# -- Secrets, ConfigMap --------------------------------------------------------------------------------------------


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
    run = scripts.make_secrets("--aws-keys", HS_USERNAME="john", HS_PASSWORD=password, **keys)
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
            assert secret not in scripts.argv + run.stdout + run.stderr + (scripts.log / "env").read_text()
    assert scripts.left_behind() == []
    for manifest in (loader, aws):
        kubernetes_validate.validate(manifest, VERSIONS[1], strict=True)


def test_secrets_go_to_the_namespace_and_can_be_made_again(scripts: Scripts) -> None:
    for option in (["-n", "ours"], ["--namespace", "ours"], ["--namespace=ours"]):
        assert scripts.make_secrets(*option, **LOGIN).returncode == 0
    assert scripts.argv.count("kubectl apply\n") == 3
    assert scripts.argv.count("kubectl --namespace=ours\n") == scripts.argv.count("kubectl --context=here\n") == 6
    assert "create" not in scripts.argv


def test_aws_keys_are_asked_for_and_else_are_the_ones_of_kubectl(scripts: Scripts) -> None:
    run = scripts.make_secrets(**KEYS_OF_PODS, **LOGIN)
    assert [item["metadata"]["name"] for item in scripts.applied] == [LOADER_SECRET]
    assert (
        "without --aws-keys, the pods use a Secret aws-auth-keys that is there already, else their role" in run.stderr
    )
    seen = (scripts.log / "env").read_text()
    assert "SK-of-pods" in seen and "HS_" not in seen  # an operator's own login to EKS, for one


@pytest.mark.parametrize("script", ["k8s_make_secrets.sh", "make_configmap.sh"])
def test_where_is_said_first_and_how_to_restart_last(scripts: Scripts, script: str) -> None:
    arguments = ("-f", str(scripts.settings())) if script == "make_configmap.sh" else ()
    first, *_, last = scripts._run(script, arguments, {**LOGIN, "PYTHON": sys.executable}).stderr.splitlines()
    assert first == "context here (http://cluster:6443), namespace ours"
    command = "kubectl --context=here --namespace=ours rollout restart deployment -l "
    label = "app.kubernetes.io/name=hsds-bucket-loader"
    assert last == f"pods that run already keep the old values until: {command}{label}"
    made = [deployment(role) for role in ROLES]
    assert {item["metadata"]["labels"]["app.kubernetes.io/name"] for item in made} == {"hsds-bucket-loader"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--context", "x"], "kubectl has no context x: "),
        ([], "kubectl has no current context: "),
    ],
)
def test_no_context_is_one_line(scripts: Scripts, arguments: list[str], says: str) -> None:
    (scripts.folder / "bin" / "kubectl").write_text("#!/bin/sh\necho 'its own advice' >&2; exit 1\n")
    run = scripts.make_secrets(*arguments, **LOGIN)
    assert run.returncode == 2
    (line,) = run.stderr.splitlines()
    assert line.startswith(f"k8s_make_secrets.sh: {says}")


# -- with a real kubectl -------------------------------------------------------------------------------------------


@pytest.fixture
def cluster(scripts: Scripts) -> Iterator[KubeApi]:
    """A small API server, and the real kubectl in the place of the one that takes notes."""
    real = ROOT / ".venv" / "kubectl" / "kubectl"
    if not real.exists():
        pytest.skip("NO KUBECTL: 'make kubectl' gets one")
    (scripts.folder / "bin" / "kubectl").unlink()
    (scripts.folder / "bin" / "kubectl").symlink_to(real)
    with kube_api.started() as api:
        api.config(scripts.folder / "kubeconfig")
        yield api


def made_secrets(scripts: Scripts, *arguments: str) -> subprocess.CompletedProcess[str]:
    return scripts.make_secrets(*arguments, KUBECONFIG=str(scripts.folder / "kubeconfig"), **KEYS_OF_PODS, **LOGIN)


def test_secrets_are_made_and_brought_up_to_date(scripts: Scripts, cluster: KubeApi) -> None:
    for arguments, where in ((["--context=there"], "theirs"), (["-n", "ours"], "ours"), ([], "default")):
        for _ in range(2):
            run = made_secrets(scripts, "--aws-keys", *arguments)
            assert run.returncode == 0, run.stderr
            assert f"({cluster.address}), namespace {where}\n" in run.stderr
        for name in (LOADER_SECRET, AWS_SECRET):
            made = cluster.get(where, "secrets", name)
            assert made and made["metadata"]["labels"]["app.kubernetes.io/name"] == "hsds-bucket-loader"


@pytest.mark.parametrize("name", [LOADER_SECRET, AWS_SECRET])
@pytest.mark.parametrize("labels", [{}, {"app.kubernetes.io/name": "hsds"}])
def test_a_secret_of_somebody_else_is_replaced_only_by_its_name(
    scripts: Scripts, cluster: KubeApi, name: str, labels: dict[str, str]
) -> None:
    theirs = {"metadata": {"name": name, "namespace": "default", "labels": labels}, "data": {"theirs": "eA=="}}
    cluster.put("default", "secrets", name, **theirs)
    other = AWS_SECRET if name == LOADER_SECRET else LOADER_SECRET
    for arguments in ([], ["--replace", other]):
        run = made_secrets(scripts, "--aws-keys", *arguments)
        assert run.returncode == 2 and f"the Secret {name} is there and not ours" in run.stderr
        kept = cluster.get("default", "secrets", name)
        assert kept and kept["data"] == {"theirs": "eA=="}
        assert cluster.get("default", "secrets", other) is None, "nothing is done by halves"
    run = made_secrets(scripts, "--aws-keys", "--replace", name)
    assert run.returncode == 0 and f"the Secret {name} is somebody else's, and is replaced" in run.stderr
    replaced = cluster.get("default", "secrets", name)
    assert replaced and {"aws_access_key_id", "hs_username"} & replaced["data"].keys()


def test_keys_of_hsds_are_used_as_they_are(scripts: Scripts, cluster: KubeApi) -> None:
    cluster.put("default", "secrets", AWS_SECRET, data={"theirs": "eA=="})
    assert made_secrets(scripts).returncode == 0
    kept = cluster.get("default", "secrets", AWS_SECRET)
    assert kept and kept["data"] == {"theirs": "eA=="} and cluster.get("default", "secrets", LOADER_SECRET)


def test_a_cluster_that_does_not_answer_gets_nothing(scripts: Scripts, cluster: KubeApi) -> None:
    path = scripts.folder / "kubeconfig"
    path.write_text(path.read_text().replace(cluster.address, "http://127.0.0.1:9"))
    run = made_secrets(scripts)
    assert run.returncode == 2 and "refused" in run.stderr


# -- what cannot be ------------------------------------------------------------------------------------------------


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
    run = scripts.make_secrets(*(["--aws-keys"] if "AWS" in says else []), **env)
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
    }
    assert "kubectl --namespace=ours\n" in scripts.argv
    assert "kubectl apply\n" in scripts.argv


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
        [shellcheck, "--format=json", "--external-sources", *ROOT.glob("*.sh")],
        text=True,
        capture_output=True,
        timeout=60,
    ).stdout
    assert json.loads(found) == []
    assert all(os.access(path, os.X_OK) for path in ROOT.glob("*.sh"))
