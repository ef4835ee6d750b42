#!/usr/bin/env bash
# The shipped model goes on learning, on a GPU, and is measured on heldout scenes.
#
#   bash launch/longer.sh [WORKDIR]      (default: runs/longer)
#
# The model is WORKDIR/model, its figures are in WORKDIR/once and WORKDIR/best. On one
# H200 with 16 host cores the runs took 6, 6 and 8 minutes, the first two next to each
# other; a laptop would take days. Run it again to go on after an interruption: finished
# steps are skipped, started ones resume at their last checkpoint.
set -euo pipefail
# shellcheck source=launch/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
# shellcheck source=launch/runs.sh
source "$(dirname "${BASH_SOURCE[0]}")/runs.sh"

runs=${1:-$home/runs/longer}
prepare "[cuda]"
mkdir -p "$runs"
cd "$home"

longer=configs/shapes_longer.py
train decoder $longer:decoder
train stage1 $longer:stage1
train stage2 $longer:stage2 \
  --config.init_from.vlm="$runs/stage1:vlm" \
  --config.init_from.mt5="$runs/decoder:mt5" \
  --config.init_from.bert="$runs/decoder:bert" \
  --config.init_from.dit="$runs/decoder:dit"

bridge assemble "$runs/model" --force --dtype bfloat16 \
  --part vlm="$runs/stage1" \
  --part mt5="$runs/decoder" \
  --part bert="$runs/decoder" \
  --part dit="$runs/decoder" \
  --part vae=shapes-tiny \
  --part projector="$runs/stage2" \
  --part aligner="$runs/stage2" \
  --part retrieval="$runs/stage2"
tasks=vqa,generation,editing,retrieval,consistency,reconstruction
rounds=(--chains 500 --cycles 1)
bridge evaluate --model "$runs/model" --split heldout --tasks $tasks "${rounds[@]}" \
  --out "$runs/once"
bridge evaluate --model "$runs/model" --split heldout --best-of 4 "${rounds[@]}" \
  --tasks editing,consistency --out "$runs/best"
