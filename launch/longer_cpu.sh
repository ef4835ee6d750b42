#!/usr/bin/env bash
# The shipped model goes on learning on a CPU until it does what we want of it, and is
# measured on heldout scenes.
#
#   bash launch/longer_cpu.sh [WORKDIR]      (default: runs/longer_cpu)
#
# First the language model and what aligns it, then an autoencoder that is shown no color
# with a name and the decoder that learns its latents in two rounds, the second on other
# rows. The model is WORKDIR/model, its figures are in WORKDIR/once and WORKDIR/best. Run
# it again to go on after an interruption: finished steps are skipped, started ones resume
# at their last checkpoint.
set -euo pipefail
# shellcheck source=launch/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
# shellcheck source=launch/runs.sh
source "$(dirname "${BASH_SOURCE[0]}")/runs.sh"

runs=${1:-$home/runs/longer_cpu}
prepare ""
mkdir -p "$runs"
cd "$home"

longer=configs/shapes_longer_cpu.py
train stage1 $longer:stage1
train stage2 $longer:stage2 --config.init_from.vlm="$runs/stage1:vlm"

train autoencoder $longer:autoencoder
vae="$runs/autoencoder:vae"
train decoder_first $longer:decoder --config.init_from.vae="$vae"
train decoder $longer:decoder --config.init_from.vae="$vae" \
  --config.init_from.dit="$runs/decoder_first:dit" \
  --config.seed=3 --config.streams.main.seed=3

bridge assemble "$runs/model" --force --dtype bfloat16 \
  --part vlm="$runs/stage1" \
  --part mt5=shapes-tiny \
  --part bert=shapes-tiny \
  --part dit="$runs/decoder" \
  --part vae="$runs/autoencoder" \
  --part projector="$runs/stage2" \
  --part aligner="$runs/stage2" \
  --part retrieval="$runs/stage2"
rounds=(--chains 500 --cycles 1 --guidance 2)
bridge evaluate --model "$runs/model" --split heldout "${rounds[@]}" \
  --tasks vqa,retrieval,generation,editing,consistency,reconstruction \
  --out "$runs/once"
bridge evaluate --model "$runs/model" --split heldout --best-of 4 "${rounds[@]}" \
  --tasks editing,consistency --out "$runs/best"
