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
plan() {
  local config=$1 where=$2 file status=0
  # Named by all that it is of, so that another list finds the same plans.
  file=$plans/$(tr -cs 'A-Za-z0-9.=\n-' _ <<<"$*").json
  shift 2
  [ ! -f "$file" ] || return 0
  "$python" -m bridge_jax plan --config "$config" --topology "$where" --json "$file" \
    "$@" || status=$?
  # Without its file it failed, and was not merely too big.
  [ -f "$file" ] || exit "$status"
}

# What a program needs to be divided by so many devices.
mesh() {
  case $1:$2 in
    # v6e's torus of 16 x 16 is not cut across its sides.
    *stage2*:v6e-256) echo "--config.mesh.data=16" ;;
    # DiT-g is 1408 = 11 x 128 wide.
    *dit_g*:v5e-256 | *stage2*:v5e-256 | sampling:v5e-256) echo "--config.mesh.data=2" ;;
  esac
}

everywhere=(h200-8 h200-32 v5p-64 v5p-128 2xv5p-64 v6e-256 v5e-256 v4-32)
recipes=(
  configs/stage1_omnibridge_7b.py
  configs/stage1_omnibridge_7b.py:lora
  configs/pretrain_vlm_7b.py
  configs/pretrain_dit_g.py
  configs/stage2_omnibridge_7b.py
)
for where in "${everywhere[@]}"; do
  for recipe in "${recipes[@]}"; do
    # shellcheck disable=SC2046 # no word where there is nothing to say
    plan "$recipe" "$where" $(mesh "$recipe" "$where")
  done
  # shellcheck disable=SC2046
  plan configs/stage2_omnibridge_7b.py "$where" --program sampling \
    $(mesh sampling "$where")
done
plan configs/stage1_omnibridge_7b.py:72b-lora v5p-128

# The scores over 152k words a part at a time.
in_blocks=objectives.sft.blocks=4
plan "configs/stage1_omnibridge_7b.py,$in_blocks" v4-32
plan "configs/stage1_omnibridge_7b.py:lora,$in_blocks" v4-32
plan "configs/pretrain_vlm_7b.py,$in_blocks" v5p-64
plan "configs/stage1_omnibridge_7b.py,$in_blocks" v5p-64

# Too big, and told so: as the recipes have it, 256 ways along fsdp leave DiT-g whole on
# each device, which only v6e has room for.
plan configs/pretrain_dit_g.py v5e-256
plan configs/stage2_omnibridge_7b.py v5e-256 --program sampling
plan configs/stage1_omnibridge_7b.py h200-1
plan configs/stage1_omnibridge_7b.py:72b v4-32
plan configs/pretrain_vlm_7b.py v5e-16

"$python" -m bridge_jax plans "$plans"/*.json --into README.md
