#!/usr/bin/env bash
# The whole test suite in its own environment.
#
#   bash launch/test.sh [pytest arguments]
#
# BRIDGE_JAX_PARITY=1 also installs torch and diffusers, and compares with them.
# BRIDGE_JAX_LMMS=1 installs lmms-eval, and tests our model in it alone.
set -euo pipefail
# shellcheck source=launch/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

if [ "${BRIDGE_JAX_LMMS:-}" = 1 ]; then
  prepare "[test,lmms]"
  set -- tests/lmms/plugin.py "$@"
elif [ "${BRIDGE_JAX_PARITY:-}" = 1 ]; then
  prepare "[test,parity]"
else
  prepare "[test]"
fi
cd "$home"
# A hundred processes import the package; compiled once, it serves all of them.
unset PYTHONDONTWRITEBYTECODE
start=$SECONDS
# A file's tests share what is costly to make, so they stay together; files come in the
# order of tests/conftest.py, which is no file's number of tests.
if "$python" -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder --durations=10 \
  "$@"; then
  echo "tests: passed in $((SECONDS - start)) s"
else
  status=$?
  echo "tests: FAILED after $((SECONDS - start)) s"
  exit "$status"
fi
