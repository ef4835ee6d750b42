#!/usr/bin/env bash
# One run on GKE TPU node pools, as a JobSet (launch/gke/jobset.yaml).
#
#   bash launch/gke/submit.sh [--dry-run] NAME IMAGE ACCELERATOR TOPOLOGY SLICES COMMAND...
#
# for example, on two slices of v5p-64, with an image made from launch/Dockerfile:
#
#   bash launch/gke/submit.sh pretrain IMAGE tpu-v5p-slice 2x4x4 2 train --config ...
#
# --dry-run prints the manifest. A mistake in the config (exit code 2) ends the JobSet;
# anything else starts all pods again, up to BRIDGE_JAX_RESTARTS times (default 100), so
# give the command --resume auto. BRIDGE_JAX_VOLUME is the claim mounted at /runs.
set -euo pipefail

dry=
if [ "${1:-}" = --dry-run ]; then
  dry=1
  shift
fi
if [ $# -lt 6 ]; then
  sed -n '2,13p' "${BASH_SOURCE[0]}" | sed 's/^# \{0,1\}//' >&2
  exit 2
fi
manifest() {
  python3 "$(dirname "${BASH_SOURCE[0]}")/manifest.py" "$@"
}
if [ -n "$dry" ]; then
  manifest "$@"
else
  manifest "$@" | kubectl apply -f -
fi
