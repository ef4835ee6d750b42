#!/usr/bin/env bash
# The long set of fault tests: 200 and more kill -9, signals, lost processes, other
# meshes and process counts, a thousand corruptions, disks that fail, losses that are no
# numbers. What CI runs of them is in tests/.
#
#   bash launch/faults.sh [--workdir DIR] [--only KIND ...] [--most N]
#
# Writes tests/faults/RESULTS.md. What is done is kept in DIR (default: runs/faults) and
# not done again. No accelerator is needed.
set -euo pipefail
# shellcheck source=launch/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

prepare "[test]"
cd "$home"
exec "$python" tests/faults/long --workdir "$home/runs/faults" \
  --into tests/faults/RESULTS.md "$@"
