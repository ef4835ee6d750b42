#!/usr/bin/env bash
# One run on a Cloud TPU pod slice: the same command on every worker.
#
#   bash launch/tpu_pod.sh [--dry-run] create NAME ZONE TYPE        v5p-64, v6e-256, ...
#   bash launch/tpu_pod.sh [--dry-run] install NAME ZONE            this checkout
#   bash launch/tpu_pod.sh [--dry-run] run NAME ZONE COMMAND...     train --config ...
#   bash launch/tpu_pod.sh [--dry-run] delete NAME ZONE
#
# --dry-run prints the commands and runs none. `run` starts `bridge COMMAND...` anew as
# long as it exits with 42, which is "interrupted and saved"; give it --resume auto. The
# work directory must be a folder that all workers share (Filestore, or a mounted bucket).
#
# BRIDGE_JAX_TPU_RUNTIME   the workers' software (default: v2-alpha-tpuv5)
# BRIDGE_JAX_TPU_FLAGS     more words for `create`, such as --spot
set -euo pipefail

usage() {
  sed -n '2,15p' "${BASH_SOURCE[0]}" | sed 's/^# \{0,1\}//' >&2
  exit 2
}

dry=
if [ "${1:-}" = --dry-run ]; then
  dry=1
  shift
fi
[ $# -ge 3 ] || usage
action=$1 name=$2 zone=$3
shift 3
checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# perform COMMAND...: run it, or print it so that a shell could run it.
perform() {
  if [ -n "$dry" ]; then
    printf '%q ' "$@"
    printf '\n'
  else
    "$@"
  fi
}

tpu() {
  local verb=$1
  shift
  perform gcloud compute tpus tpu-vm "$verb" "$@" --zone="$zone"
}

everywhere() {
  tpu ssh "$name" --worker=all --command="$1"
}

case $action in
  create)
    [ $# -eq 1 ] || usage
    read -r -a more <<<"${BRIDGE_JAX_TPU_FLAGS:-}"
    tpu create "$name" --accelerator-type="$1" \
      --version="${BRIDGE_JAX_TPU_RUNTIME:-v2-alpha-tpuv5}" "${more[@]}"
    ;;
  install)
    [ $# -eq 0 ] || usage
    archive=$(mktemp --suffix=.tar)
    trap 'rm -f "$archive"' EXIT
    perform git -C "$checkout" archive --output="$archive" HEAD
    tpu scp "$archive" "$name:bridge_jax.tar" --worker=all
    everywhere 'mkdir -p bridge_jax && tar -xf bridge_jax.tar -C bridge_jax &&
cd bridge_jax && source launch/environment.sh && prepare "[tpu]"'
    ;;
  run)
    [ $# -ge 1 ] || usage
    command=$(printf '%q ' "$@")
    while true; do
      status=0
      everywhere "cd bridge_jax && BRIDGE_JAX_DISTRIBUTED=auto \
.venv/bin/python -m bridge_jax $command" || status=$?
      [ "$status" -eq 42 ] || exit "$status"
      echo "interrupted and saved: starting again" >&2
    done
    ;;
  delete)
    [ $# -eq 0 ] || usage
    tpu delete "$name" --quiet
    ;;
  *) usage ;;
esac
