# What the scripts at the root share: which cluster kubectl is to work on, said before anything is done there.
# shellcheck shell=bash

program=${0##*/}
dry_run=false
context= namespace=
label=app.kubernetes.io/name=hsds-bucket-loader

fail() {
    printf '%s: %s\n' "$program" "$1" >&2
    exit 2
}

say() {
    printf '%s\n' "$1" >&2
}

where_options() {
    printf '%s\n' \
        "  -n, --namespace NAMESPACE  where to make it; without it, where kubectl's context says" \
        "      --context CONTEXT      of kubectl's; without it, the current one" \
        "      --dry-run              show what would be made, and make nothing"
}

# Take one of these options, with the word that follows it; `taken` words, 0 for another option.
take_where_option() {
    taken=1
    case $1 in
    -n | --namespace | --context)
        [[ -n ${2:-} ]] || fail "$1 needs a name"
        [[ $1 == --context ]] && context=$2 || namespace=$2
        taken=2
        ;;
    --namespace=?*) namespace=${1#*=} ;;
    --context=?*) context=${1#*=} ;;
    --dry-run) dry_run=true ;;
    *) taken=0 ;;
    esac
}

kubectl_there() {
    kubectl ${context:+"--context=$context"} ${namespace:+"--namespace=$namespace"} "$@"
}

# Find out where kubectl works, and say it.
choose_where() {
    local found server wanted=${context:+context $context}
    command -v kubectl >/dev/null || fail "kubectl is not on PATH: install it, and point it to your cluster"
    found=$(kubectl config view --minify ${context:+"--context=$context"} \
        -o 'jsonpath={.contexts[0].name}|{.contexts[0].context.namespace}|{.clusters[0].cluster.server}' 2>/dev/null) ||
        fail "kubectl has no ${wanted:-current context}: 'kubectl config get-contexts' lists those that it has, --context CONTEXT takes one"
    IFS='|' read -r context found server <<<"$found"
    namespace=${namespace:-${found:-default}}
    say "context $context ($server), namespace $namespace"
}

restart_hint() {
    say "pods that run already keep the old values until: kubectl --context=$context --namespace=$namespace rollout restart deployment -l $label"
}
