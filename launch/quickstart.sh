#!/usr/bin/env bash
# From a fresh machine to pictures, both training stages and a report.
#
#   bash launch/quickstart.sh [WORKDIR]      (default: runs/quickstart)
#
# Needs Python 3.11+ with pip, and the network the first time. What follows WORKDIR goes
# to `bridge quickstart`.
set -euo pipefail
# shellcheck source=launch/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

workdir=$home/runs/quickstart
if [ $# -gt 0 ]; then
  workdir=$1
  shift
fi
prepare ""
exec "$python" -m bridge_jax quickstart --workdir "$workdir" "$@"
