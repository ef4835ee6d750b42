#!/usr/bin/env bash
# The shipped model learns to draw, on a CPU, what no training picture shows, and is
# measured on heldout scenes.
#
#   bash launch/longer_cpu.sh [WORKDIR]      (default: runs/longer_cpu)
#
# An autoencoder that is shown no color with a name, and the decoder that learns its
# latents in two rounds, the second on other rows; all else is as shipped. The model is
# WORKDIR/model, its figures are in WORKDIR/once and WORKDIR/best. Run it again to go on
# after an interruption: finished steps are skipped, started ones resume at their last
# checkpoint.
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
train autoencoder $longer:autoencoder
vae="$runs/autoencoder:vae"
train decoder_first $longer:decoder --config.init_from.vae="$vae"
train decoder $longer:decoder --config.init_from.vae="$vae" \
  --config.init_from.dit="$runs/decoder_first:dit" \
  --config.seed=3 --config.streams.main.seed=3

bridge assemble "$runs/model" --force --dtype bfloat16 \
  --part vlm=shapes-tiny \
  --part mt5=shapes-tiny \
  --part bert=shapes-tiny \
  --part dit="$runs/decoder" \
  --part vae="$runs/autoencoder" \
  --part projector=shapes-tiny \
  --part aligner=shapes-tiny \
  --part retrieval=shapes-tiny
rounds=(--chains 500 --cycles 1 --guidance 2)
bridge evaluate --model "$runs/model" --split heldout "${rounds[@]}" \
  --tasks generation,editing,consistency,reconstruction --out "$runs/once"
bridge evaluate --model "$runs/model" --split heldout --best-of 4 "${rounds[@]}" \
  --tasks editing,consistency --out "$runs/best"
