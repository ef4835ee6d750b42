#!/usr/bin/env bash
# The shipped model goes on learning on a CPU, all parts of it but the decoder's text
# encoders, and is measured on heldout scenes.
#
#   bash launch/longer_cpu.sh [WORKDIR]      (default: runs/longer_cpu)
#
# An autoencoder that is shown no color with a name, the decoder that learns its latents
# in two rounds, the second on other rows; a language model that thinks before it
# answers, and the alignment after it. The model is WORKDIR/model; its figures are in
# WORKDIR/once, in WORKDIR/best, and in WORKDIR/plain those of questions that it does not
# think about. Run it again to go on after an interruption: finished steps are skipped,
# started ones resume at their last checkpoint.
set -euo pipefail
# shellcheck source=launch/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
# shellcheck source=launch/runs.sh
source "$(dirname "${BASH_SOURCE[0]}")/runs.sh"

# A fifth less time, for more memory (README, Speed); 0 turns it off. Where jemalloc is
# installed, it takes less of both.
export BRIDGE_JAX_KEEP_MEMORY=${BRIDGE_JAX_KEEP_MEMORY:-1}
if ldconfig -p 2>/dev/null | grep 'libjemalloc\.so\.2' >/dev/null; then
  export LD_PRELOAD=${LD_PRELOAD:-libjemalloc.so.2}
fi
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
train stage1 $longer:stage1
train stage2 $longer:stage2 --config.init_from.vlm="$runs/stage1:vlm" \
  --config.init_from.dit="$runs/decoder:dit" --config.init_from.vae="$vae"

bridge assemble "$runs/model" --force --dtype bfloat16 \
  --part vlm="$runs/stage1" \
  --part mt5=shapes-tiny \
  --part bert=shapes-tiny \
  --part dit="$runs/decoder" \
  --part vae="$runs/autoencoder" \
  --part projector="$runs/stage2" \
  --part aligner="$runs/stage2" \
  --part retrieval="$runs/stage2"
tasks=vqa,retrieval,generation,editing,consistency,reconstruction
rounds=(--chains 500 --cycles 1 --guidance 2)
bridge evaluate --model "$runs/model" --split heldout --think "${rounds[@]}" \
  --tasks $tasks --out "$runs/once"
bridge evaluate --model "$runs/model" --split heldout --tasks vqa --out "$runs/plain"
bridge evaluate --model "$runs/model" --split heldout --best-of 4 "${rounds[@]}" \
  --tasks editing,consistency --out "$runs/best"
