#!/usr/bin/env bash
# Shows on the shapes world that LangBridge's adapter moves between language models.
#
#   bash launch/langbridge.sh [--into README.md]
#
# Everything goes to runs/langbridge: words.png shows what an adapter says of a picture,
# beside what embeddings an MLP's tokens are near. Run it again to go on after an
# interruption. The last table is that of configs/ablate_langbridge.py; --into puts both
# into a page.
set -euo pipefail
# shellcheck source=launch/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

runs=runs/langbridge
prepare "[lab]"
cd "$home"

bridge() {
  "$python" -m bridge_jax "$@"
}

# words NAME CONFIG: a language model without eyes
words() {
  if [ ! -f "$runs/$1/weights/config.json" ]; then
    bridge pretrain --config "$2" --workdir "$runs/$1" --resume auto
  fi
}
words words_qwen2 configs/shapes_langbridge.py:words-qwen2
words words_llama3 configs/shapes_langbridge.py:words-llama3

bridge ablate --config configs/ablate_langbridge.py:adapters --out "$runs/adapters" "$@"

# Of a picture that the shipped model draws.
bridge generate "a red circle left of a blue square" \
  -o "$runs/scene.png" --force
bridge langbridge explain "$runs/scene.png" --force \
  --model "$runs/adapters/baseline/seed_0/run" \
  --against "$runs/adapters/mlp/seed_0/run" \
  -o "$runs/words.png" --curve "$runs/sparsity.png"

move() {
  local arm=$1 name=$2
  shift 2
  for seed in 0 1 2; do
    bridge langbridge transfer --adapter "$runs/adapters/$arm/seed_$seed/run" \
      --to "$runs/words_llama3" -o "$runs/moved/${name}_$seed" --force "$@"
  done
}
move baseline langbridge
move mlp mlp --pad

bridge ablate --config configs/ablate_langbridge.py --out "$runs/tuned" "$@"
