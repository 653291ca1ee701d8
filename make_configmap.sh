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

export PYTHONPATH=$here
"$python" -c 'import bucket_loader.config' 2>/dev/null ||
    fail "$python lacks the packages that check the settings: run 'make setup', or set PYTHON"
manifest=$("$python" -m bucket_loader.deploy.configmap -- "$file") || exit 2
if $dry_run; then
    printf '%s\n' "$manifest"
else
    printf '%s\n' "$manifest" | kubectl apply --server-side --force-conflicts --field-manager=hsds-bucket-loader \
        ${kubectl_options[@]+"${kubectl_options[@]}"} --filename=-
    echo "pods that run already keep the old settings until: kubectl rollout restart deployment/NAME" >&2
fi
