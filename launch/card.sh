#!/usr/bin/env bash
# Measures one accelerator: its ceilings, our programs, and torch's on the same card.
#
#   bash launch/card.sh [WORKDIR]      (default: runs/card)
#
# Needs one card of 140 GB for all works; those that do not fit fail and are told. What
# is measured already is kept in WORKDIR and not measured again.
set -euo pipefail
# shellcheck source=launch/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

runs=${1:-$home/runs/card}
prepare "[cuda,parity]"
mkdir -p "$runs"
cd "$home"

status=0
"$python" -m bridge_jax bench card --json "$runs/card.json" || status=$?
"$python" -m bridge_jax bench gpu --json "$runs/races.json" || status=$?
exit "$status"
