#!/usr/bin/env bash
# Compiles the published recipes for pods and hosts, and writes README's table.
#
#   bash launch/plan_table.sh [WORKDIR]      (default: runs/plans)
#
# No accelerator is needed. One compilation takes one to some fifteen minutes of a CPU
# core; those that are done are kept in WORKDIR and skipped when it is run again.
set -euo pipefail
# shellcheck source=launch/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

plans=${1:-$home/runs/plans}
prepare "[plan,plan-gpu]"
mkdir -p "$plans"
cd "$home"

# plan CONFIG TOPOLOGY [ARGUMENT ...]: a plan that does not fit is a result, too.
number=0
plan() {
  local config=$1 where=$2 file status=0
  shift 2
  number=$((number + 1))
  file=$(printf '%s/%03d_%s_%s.json' "$plans" "$number" "${config//[:.\/]/_}" "$where")
  [ -f "$file" ] && return
  "$python" -m bridge_jax plan --config "configs/${config/:/.py:}" \
    --topology "$where" --json "$file" "$@" || status=$?
  [ "$status" -le 1 ] || exit "$status"
}
