#!/usr/bin/env bash
# Checks config.yml as the pods will, then makes the ConfigMap hsds-bucket-loader-config of it, or brings it up to date.
# Beside the file, the ConfigMap gets its values of aws_s3_gateway, aws_region and tgt_bucket as keys of their own: the
# pods' own HSDS takes them from there, so that they are written down once.
set -euo pipefail

program=${0##*/}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
file=$here/config.yml
dry_run=false
kubectl_options=()

usage() {
    printf '%s\n' \
        "usage: $program [-f FILE] [-n NAMESPACE] [--dry-run]" \
        "" \
        "Makes the ConfigMap hsds-bucket-loader-config from config.yml, and from override.yml beside it where there" \
        "is one, after checking them. A ConfigMap that is there already is brought up to date." \
        "" \
        "  -f, --file FILE            another file than the config.yml beside this script" \
        "  -n, --namespace NAMESPACE  where to make it; without it, where kubectl's context says" \
        "      --dry-run              show what would be made, and make nothing" \
        "  -h, --help                 show this" \
        "" \
        "It needs a Python with this project's packages: \$PYTHON, else .venv (of 'make setup'), else python3."
}

fail() {
    printf '%s: %s\n' "$program" "$1" >&2
    exit 2
}

while (($#)); do
    case $1 in
    -f | --file)
        [[ -n ${2:-} ]] || fail "$1 needs the name of a file"
        file=$2
        shift
        ;;
    --file=?*) file=${1#*=} ;;
    -n | --namespace)
        [[ -n ${2:-} ]] || fail "$1 needs the name of a namespace"
        kubectl_options+=("--namespace=$2")
        shift
        ;;
    --namespace=?*) kubectl_options+=("$1") ;;
    --dry-run) dry_run=true ;;
    -h | --help)
        usage
        exit 0
        ;;
    *) fail "what is $1? see $program --help" ;;
    esac
    shift
done

[[ -f $file ]] || fail "there is no file $file"
$dry_run || command -v kubectl >/dev/null || fail "kubectl is not on PATH: install it, and point it to your cluster"
python=${PYTHON:-}
if [[ -z $python ]]; then
    python=python3
    [[ ! -x $here/.venv/bin/python ]] || python=$here/.venv/bin/python
fi
command -v "$python" >/dev/null || fail "there is no $python: run 'make setup', or set PYTHON"

# The manifest of the ConfigMap; what is wrong with the settings goes to stderr, and makes it end with 2.
# The environment has no say here: it belongs to this desktop (HSDS_ENDPOINT names the outside), not to the pods.
make_manifest() {
    PYTHONPATH=$here "$python" - "$program" "$file" <<'PYTHON'
import argparse
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

program, file = sys.argv[1], Path(sys.argv[2]).resolve()


def say(text):
    print(f"{program}: {text}", file=sys.stderr)


def fail(text):
    say(text)
    sys.exit(2)


try:
    import yaml

    from bucket_loader import config
except ImportError as error:
    fail(f"{sys.executable} lacks what checks the settings ({error}): run 'make setup', or set PYTHON")

files = {"config.yml": file, "override.yml": file.with_name("override.yml")}
files = {name: path for name, path in files.items() if path.is_file()}
with tempfile.TemporaryDirectory() as folder:
    for name, path in files.items():
        Path(folder, name).symlink_to(path)
    parser = argparse.ArgumentParser()
    config.add_options(parser)
    try:
        settings = config.load(parser.parse_args(["--config-dir", folder]), env={})
    except config.ConfigError as error:
        message = str(error)
        for name, path in files.items():
            message = message.replace(f"{folder}/{name}", str(path))
        fail(message)
if settings.hs_password is not None:
    fail("hs_password is in the settings: take it out, a ConfigMap is no place for it; k8s_make_secrets.sh has one")
if urlsplit(settings.hsds_endpoint).hostname in ("localhost", "127.0.0.1", "::1"):
    fail(
        f"hsds_endpoint is {settings.hsds_endpoint}, which to a pod is the pod itself: each would have an inventory "
        "of its own; name the cluster's service, e.g. http://hsds:5101"
    )
if settings.hsds_local is None:
    say("note: hsds_local is null, so that all pods load through the cluster's HSDS and not through their own")
if settings.tgt_bucket is None:
    say("note: tgt_bucket is null, so that a pod's own HSDS takes bucket_name from the ConfigMap hsds-override")
gateway = urlsplit(settings.aws_s3_gateway or "https://")
aws = (gateway.hostname or "").endswith((".amazonaws.com", ".amazonaws.com.cn"))
for_hsds = {
    # null means AWS to boto3; HSDS wants a name, and for one of AWS's leaves the region's endpoint to boto3, too
    "aws_s3_gateway": settings.aws_s3_gateway or "https://s3.amazonaws.com",
    "aws_region": settings.aws_region,
    "tgt_bucket": settings.tgt_bucket,
    # HSDS makes a TLS context for every call of its storage, even over http. To fill it with all the certificates that
    # there are took 28 of a call's 43 ms of cpu: where none is needed, it gets a file with one. Not for AWS's own
    # stores, which roles belong to: those are asked for over https.
    "aws_ca_bundle": "/etc/hsds/one-certificate.pem" if gateway.scheme == "http" and not aws else None,
}
manifest = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {
        "name": "hsds-bucket-loader-config",
        "labels": {"app.kubernetes.io/name": "hsds-bucket-loader", "app.kubernetes.io/part-of": "hsds"},
    },
    "data": {name: path.read_text(encoding="utf-8") for name, path in files.items()}
    | {key: value for key, value in for_hsds.items() if value},
}


def represent(dumper, text):
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


yaml.SafeDumper.add_representer(str, represent)
yaml.safe_dump(manifest, sys.stdout, sort_keys=False, allow_unicode=True, width=1000)
PYTHON
}

manifest=$(make_manifest) || exit 2
if $dry_run; then
    printf '%s\n' "$manifest"
else
    printf '%s\n' "$manifest" | kubectl apply --server-side --force-conflicts --field-manager=hsds-bucket-loader \
        ${kubectl_options[@]+"${kubectl_options[@]}"} --filename=-
    echo "pods that run already keep the old settings until: kubectl rollout restart deployment/NAME" >&2
fi
