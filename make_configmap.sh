#!/usr/bin/env bash
# Checks config.yml as the pods will, then makes the ConfigMap hsds-bucket-loader-config of it, or brings it up to date.
# Beside the file, the ConfigMap gets its values of aws_s3_gateway, aws_region and tgt_bucket as keys of their own: the
# pods' own HSDS takes them from there, so that they are written down once.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=bucket_loader/deploy/kubectl.sh
source "$here/bucket_loader/deploy/kubectl.sh"
file=$here/config.yml

usage() {
    printf '%s\n' \
        "usage: $program [-f FILE] [-n NAMESPACE] [--context CONTEXT] [--dry-run]" \
        "" \
        "Makes the ConfigMap hsds-bucket-loader-config from config.yml, and from override.yml beside it where there" \
        "is one, after checking them. A ConfigMap that is there already is brought up to date." \
        "" \
        "  -f, --file FILE            another file than the config.yml beside this script" \
        "$(where_options)" \
        "  -h, --help                 show this" \
        "" \
        "It needs a Python with this project's packages: \$PYTHON, else .venv (of 'make setup'), else python3."
}

while (($#)); do
    take_where_option "$@"
    if ((taken)); then
        shift "$taken"
        continue
    fi
    case $1 in
    -f | --file)
        [[ -n ${2:-} ]] || fail "$1 needs the name of a file"
        file=$2
        shift
        ;;
    --file=?*) file=${1#*=} ;;
    -h | --help)
        usage
        exit 0
        ;;
    *) fail "what is $1? see $program --help" ;;
    esac
    shift
done

[[ -f $file ]] || fail "there is no file $file"
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
    choose_where
    printf '%s\n' "$manifest" |
        kubectl_there apply --server-side --force-conflicts --field-manager=hsds-bucket-loader --filename=-
    restart_hint
fi
