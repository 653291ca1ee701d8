#!/usr/bin/env bash
# Makes the Secrets of the loader's pods from environment variables, or brings them up to date.
#   hs-loader-keys  hs_username, hs_password, user-password.txt   from HS_USERNAME and HS_PASSWORD
#   aws-auth-keys   aws_access_key_id, aws_secret_access_key      from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY
# The values go from the environment to kubectl by pipes alone: not by an argument list, which every user of the machine
# can read, nor by a file or a here-document, which is one in many versions of bash.
set -euo pipefail
set +x # with `bash -x`, every value would be shown

program=${0##*/}
dry_run=false
kubectl_options=()

usage() {
    printf '%s\n' \
        "usage: $program [-n NAMESPACE] [--dry-run]" \
        "" \
        "Makes the Secret hs-loader-keys from HS_USERNAME and HS_PASSWORD (the owner of the loaded domains), and the" \
        "Secret aws-auth-keys from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, where those are set: pods with a role" \
        "need none. Secrets that are there already are brought up to date." \
        "" \
        "  -n, --namespace NAMESPACE  where to make them; without it, where kubectl's context says" \
        "      --dry-run              show what would be made, with the values masked, and make nothing" \
        "  -h, --help                 show this"
}

fail() {
    printf '%s: %s\n' "$program" "$1" >&2
    exit 2
}

while (($#)); do
    case $1 in
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

# One line without control characters, or a message that names the variable and not its value.
check_text() {
    [[ -n ${!1:-} ]] || fail "$1 is not set: export $1=…"
    [[ ${!1} != *[[:cntrl:]]* ]] || fail "$1 holds a line break or another control character"
}

# HSDS reads the login from a line user:password, which it splits at each colon and strips; shorter words it ignores.
check_login() {
    check_text "$1"
    [[ ${!1} != *:* ]] || fail "$1 holds a colon (:), which HSDS takes for the end of it in its password file"
    [[ ${!1} != [[:space:]]* && ${!1} != *[[:space:]] ]] || fail "$1 starts or ends with a space, which HSDS strips"
    [[ ${!1} == ???* ]] || fail "$1 is too short: HSDS ignores words of less than 3 characters"
}

check_login HS_USERNAME
check_login HS_PASSWORD
[[ $HS_USERNAME != \#* ]] || fail "HS_USERNAME starts with #, which makes a comment of its line in HSDS's password file"
with_aws_keys=false
if [[ -n ${AWS_ACCESS_KEY_ID:-}${AWS_SECRET_ACCESS_KEY:-} ]]; then
    check_text AWS_ACCESS_KEY_ID
    check_text AWS_SECRET_ACCESS_KEY
    [[ -z ${AWS_SESSION_TOKEN:-} ]] ||
        fail "AWS_SESSION_TOKEN is set: these are temporary keys, which pods cannot renew; use lasting ones, or a role"
    with_aws_keys=true
fi
$dry_run || command -v kubectl >/dev/null || fail "kubectl is not on PATH: install it, and point it to your cluster"

# A line of a Secret's data. printf is a part of the shell: there is no process with the value in its arguments.
entry() {
    if $dry_run; then
        printf '  %s: (masked)\n' "$1"
    else
        printf '  %s: %s\n' "$1" "$(printf %s "$2" | base64 | tr -d '\n')"
    fi
}

header() {
    printf '%s\n' --- 'apiVersion: v1' 'kind: Secret' 'metadata:' "  name: $1" '  labels:' \
        '    app.kubernetes.io/name: hsds-bucket-loader' '    app.kubernetes.io/part-of: hsds' 'type: Opaque' 'data:'
}

manifest() {
    header hs-loader-keys
    entry hs_username "$HS_USERNAME"
    entry hs_password "$HS_PASSWORD"
    entry user-password.txt "$HS_USERNAME:$HS_PASSWORD"
    if $with_aws_keys; then
        header aws-auth-keys
        entry aws_access_key_id "$AWS_ACCESS_KEY_ID"
        entry aws_secret_access_key "$AWS_SECRET_ACCESS_KEY"
    fi
}

if $dry_run; then
    manifest
else
    # by the server: the client's way of applying would keep a copy of the values in an annotation. The conflicts are
    # with whoever made the Secret before, an older version of this script for one.
    manifest | kubectl apply --server-side --force-conflicts --field-manager=hsds-bucket-loader \
        ${kubectl_options[@]+"${kubectl_options[@]}"} --filename=-
fi
if ! $with_aws_keys; then
    echo "AWS_ACCESS_KEY_ID is not set: the pods use a Secret aws-auth-keys that is there already, else their role" >&2
fi
if ! $dry_run; then
    echo "pods that run already keep the old values until: kubectl rollout restart deployment/NAME" >&2
fi
