#!/usr/bin/env bash
# Rebuilds the shipped bundle, bridge_jax/presets/shapes-tiny, from nothing.
#
#   bash launch/rebuild_shapes_tiny.sh [WORKDIR]      (default: runs/shapes_tiny)
#
# The shipped weights took ten core-hours on a CPU, a good five hours of two cores, with
# runs next to each other that here come one after the other. It was not timed on a GPU.
#
# Seeds are fixed in the configs. Run it again to go on after an interruption: finished
# steps are skipped, started ones resume at their last checkpoint.
set -euo pipefail
# shellcheck source=launch/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
# shellcheck source=launch/runs.sh
source "$(dirname "${BASH_SOURCE[0]}")/runs.sh"

runs=${1:-$home/runs/shapes_tiny}
preset=$home/bridge_jax/presets/shapes-tiny
prepare ""
mkdir -p "$runs"
cd "$home"

# The parts that OmniBridge takes as pretrained (stage 0).
pretrain=configs/shapes_pretrain.py
train vae1 $pretrain:autoencoder
train vae2 $pretrain:smoother --config.init_from.vae="$runs/vae1:vae"
train vae3 $pretrain:smoothest --config.init_from.vae="$runs/vae2:vae"
train vae $pretrain:pixels --config.init_from.vae="$runs/vae3:vae"
train dit1 $pretrain:decoder --config.init_from.vae="$runs/vae3:vae"
train dit $pretrain:decoder_longer --config.init_from.vae="$runs/vae3:vae" \
  --config.init_from.mt5="$runs/dit1:mt5" --config.init_from.bert="$runs/dit1:bert" \
  --config.init_from.dit="$runs/dit1:dit"
train vlm $pretrain:vlm

# Stage 1, behavioural alignment, then harder lessons, mostly edits, rewriting, and what
# an edit changes, said before its caption.
train stage1 configs/shapes_stage1.py --config.init_from.vlm="$runs/vlm:vlm"
train stage1_longer configs/shapes_stage1.py:longer \
  --config.init_from.vlm="$runs/stage1:vlm"
train stage1_edits configs/shapes_stage1.py:edits \
  --config.init_from.vlm="$runs/stage1_longer:vlm"
train stage1_rewrites configs/shapes_stage1.py:rewrites \
  --config.init_from.vlm="$runs/stage1_edits:vlm"
train stage1_reasons configs/shapes_stage1.py:reasons \
  --config.init_from.vlm="$runs/stage1_rewrites:vlm"
train stage1_moves configs/shapes_stage1.py:moves \
  --config.init_from.vlm="$runs/stage1_reasons:vlm"

# Stage 2, latent alignment: adaption, then alignment from where that ended. It looks
# through the decoder as it was when its text encoders stopped learning.
adaption=(
  --config.init_from.vlm="$runs/stage1:vlm"
  --config.init_from.mt5="$runs/dit:mt5"
  --config.init_from.bert="$runs/dit:bert"
  --config.init_from.dit="$runs/dit1:dit"
  --config.init_from.vae="$runs/vae:vae"
)
train adaption configs/shapes_stage2.py:adaption "${adaption[@]}"
train stage2 configs/shapes_stage2.py "${adaption[@]}" \
  --config.init_from.projector="$runs/adaption:projector" \
  --config.init_from.aligner="$runs/adaption:aligner"

# What stage 0 gave is whole.
bridge assemble "$preset/stage0" --force --dtype bfloat16 \
  --part vlm="$runs/vlm" \
  --part mt5="$runs/dit" \
  --part bert="$runs/dit" \
  --part dit="$runs/dit" \
  --part vae="$runs/vae"

# From here on stage 2 looks through the decoder that ships: first with the LLM of
# stage1, then with those that followed it.
#
# align NAME VARIANT LLM BEFORE: an alignment that goes on from another one
align() {
  local part given=(--config.init_from.vlm="$runs/$3:vlm")
  for part in projector aligner retrieval; do
    given+=("--config.init_from.$part=$runs/$4:$part")
  done
  for part in mt5 bert dit vae; do
    given+=("--config.init_from.$part=shapes-tiny/stage0:$part")
  done
  train "$1" "configs/shapes_stage2.py:$2" "${given[@]}"
}
align stage2_longer longer stage1 stage2
align stage2_last last stage1_edits stage2_longer
align stage2_rewrites rewrites stage1_rewrites stage2_last
align stage2_reasons reasons stage1_moves stage2_rewrites

# The rest holds only what the stages changed or added. The vision tower stands still in
# both.
bridge assemble "$preset" --force --dtype bfloat16 --onto stage0 \
  --part vlm/llm="$runs/stage1_moves" \
  --part projector="$runs/stage2_reasons" \
  --part aligner="$runs/stage2_reasons" \
  --part retrieval="$runs/stage2_reasons"
