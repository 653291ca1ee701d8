#!/usr/bin/env bash
# Makes the Secrets of the loader's pods from environment variables, or brings them up to date.
#   hs-loader-keys  hs_username, hs_password, user-password.txt   from HS_USERNAME and HS_PASSWORD
#   aws-auth-keys   aws_access_key_id, aws_secret_access_key      from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY,
#                                                                 with --aws-keys
# The values go from here to kubectl by pipes alone: not by an argument list, which every user of the machine can read,
# nor by the environment of any program, nor by a file or a here-document, which is one in many versions of bash.
set -euo pipefail
set +x # with `bash -x`, every value would be shown
# no program that is started here sees them
export -n HS_USERNAME HS_PASSWORD

# shellcheck source=bucket_loader/deploy/kubectl.sh
source "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/bucket_loader/deploy/kubectl.sh"
with_aws_keys=false
replaced=()

usage() {
    printf '%s\n' \
        "usage: $program [-n NAMESPACE] [--context CONTEXT] [--aws-keys] [--replace SECRET] [--dry-run]" \
        "" \
        "Makes the Secret hs-loader-keys from HS_USERNAME and HS_PASSWORD (the owner of the loaded domains). Secrets that" \
        "this script made before are brought up to date. One that somebody else made is not touched: HSDS's own script" \
        "makes an aws-auth-keys, which the pods use as it is." \
        "" \
        "      --aws-keys             make aws-auth-keys, too, from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; these are" \
        "                             then the pods', and kubectl does not see them. Pods with a role need none" \
        "      --replace SECRET       replace the Secret of this name, also where somebody else made it" \
        "$(where_options)" \
        "  -h, --help                 show this"
}

while (($#)); do
    take_where_option "$@"
    if ((taken)); then
        shift "$taken"
        continue
    fi
    case $1 in
    --aws-keys) with_aws_keys=true ;;
    --replace)
        [[ ${2:-} == hs-loader-keys || ${2:-} == aws-auth-keys ]] || fail "$1 needs hs-loader-keys or aws-auth-keys"
        replaced+=("$2")
        shift
        ;;
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
if $with_aws_keys; then
    export -n AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
    check_text AWS_ACCESS_KEY_ID
    check_text AWS_SECRET_ACCESS_KEY
    [[ -z ${AWS_SESSION_TOKEN:-} ]] ||
        fail "AWS_SESSION_TOKEN is set: these are temporary keys, which pods cannot renew; use lasting ones, or a role"
fi

# Whether a Secret may be written: it is not there, or it is ours, or it was asked for by its name.
expect_ours() {
    local name=$1 owner
    owner=$(kubectl_there get secret "$name" --ignore-not-found \
        -o 'jsonpath=made by {.metadata.labels.app\.kubernetes\.io/name}') || exit 2
    [[ -n $owner && $owner != "made by ${label#*=}" ]] || return 0
    if [[ " ${replaced[*]-} " == *" $name "* ]]; then
        say "the Secret $name is somebody else's, and is replaced"
    elif [[ $name == aws-auth-keys ]]; then
        fail "the Secret aws-auth-keys is there and not ours; HSDS's own script makes one. The pods use it as it is: leave out --aws-keys, or replace it with --replace aws-auth-keys"
    else
        fail "the Secret $name is there and not ours: replace it with --replace $name"
    fi
}

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
        "    ${label/=/: }" '    app.kubernetes.io/part-of: hsds' 'type: Opaque' 'data:'
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
    choose_where
    expect_ours hs-loader-keys
    ! $with_aws_keys || expect_ours aws-auth-keys
    # by the server: the client's way of applying would keep a copy of the values in an annotation. The conflicts are
    # with whoever made the Secret before, an older version of this script for one.
    manifest | kubectl_there apply --server-side --force-conflicts --field-manager=hsds-bucket-loader --filename=-
fi
$with_aws_keys ||
    say "without --aws-keys, the pods use a Secret aws-auth-keys that is there already, else their role"
$dry_run || restart_hint
