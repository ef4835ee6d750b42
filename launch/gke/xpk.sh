#!/usr/bin/env bash
# One run through xpk (https://github.com/AI-Hypercomputer/xpk), which makes the JobSet.
#
#   bash launch/gke/xpk.sh [--dry-run] CLUSTER NAME IMAGE TPU_TYPE SLICES COMMAND...
#
# xpk starts a workload again on exit code 42 (interrupted and saved) and on codes from
# 127 (killed), and not on 2 (a mistake in the input): give the command --resume auto.
set -euo pipefail

dry=
if [ "${1:-}" = --dry-run ]; then
  dry=1
  shift
fi
if [ $# -lt 6 ]; then
  sed -n '2,7p' "${BASH_SOURCE[0]}" | sed 's/^# \{0,1\}//' >&2
  exit 2
fi
cluster=$1 name=$2 image=$3 type=$4 slices=$5
shift 5
command=(xpk workload create --cluster="$cluster" --workload="$name"
  --docker-image="$image" --tpu-type="$type" --num-slices="$slices"
  --max-restarts="${BRIDGE_JAX_RESTARTS:-100}"
  --command="BRIDGE_JAX_DISTRIBUTED=auto bridge $(printf '%q ' "$@")")
if [ -n "$dry" ]; then
  printf '%q ' "${command[@]}"
  printf '\n'
else
  "${command[@]}"
fi
