# shellcheck shell=bash
# Sourced by the launchers: one virtual environment for all of them, made once.
#
#   prepare EXTRAS    makes it or finds it, installs the package with EXTRAS ("" or
#                     "[test]"), and sets $python
#
# BRIDGE_JAX_VENV   where it stands (default: .venv in the checkout)
# PYTHON            the Python 3.11+ to make it with (default: the first one found)

home=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=${BRIDGE_JAX_VENV:-$home/.venv}
python=$venv/bin/python

fail() {
  echo "$(basename "$0"): $*" >&2
  exit 2
}

# Prints the first Python that is new enough.
find_python() {
  local candidate
  for candidate in ${PYTHON:+"$PYTHON"} python3 python3.13 python3.12 python3.11 python; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
      >/dev/null 2>&1; then
      echo "$candidate"
      return
    fi
  done
  fail "needs Python 3.11 or newer; found $(python3 --version 2>&1 | head -n 1)." \
    "Install one, or name it: PYTHON=/path/to/python3.11 bash $0"
}

make_venv() {
  local base
  base=$(find_python) || exit 2
  if [ -n "$(ls -A "$venv" 2>/dev/null)" ] && [ ! -f "$venv/pyvenv.cfg" ]; then
    fail "$venv is there and is no virtual environment; name another folder:" \
      "BRIDGE_JAX_VENV=/path/to/folder bash $0"
  fi
  echo "making a virtual environment in $venv with $("$base" --version)"
  # Debian splits ensurepip off: then the pip outside installs into the environment.
  "$base" -m venv --clear "$venv" >/dev/null 2>&1 ||
    "$base" -m venv --clear --without-pip "$venv" ||
    fail "cannot make a virtual environment in $venv; the line above says why" \
      "(on Debian and Ubuntu: apt install python3-venv)"
  "$python" -m pip --version >/dev/null 2>&1 || echo "$base" > "$venv/pip_from"
}

pip_install() {
  if [ -f "$venv/pip_from" ]; then
    "$(cat "$venv/pip_from")" -m pip --python "$python" install "$@"
  else
    "$python" -m pip install "$@"
  fi
}

# What the installation depends on; a change of any of it installs again.
fingerprint() {
  { cat "$home/setup.py" "$home/.constraints.txt"; echo "$home"; } | cksum
}

prepare() {
  local extras=$1 stamp
  stamp=$venv/installed${extras//[^a-z]/_}
  if ! "$python" -c '' >/dev/null 2>&1; then
    make_venv
  fi
  if [ "$(cat "$stamp" 2>/dev/null)" != "$(fingerprint)" ]; then
    echo "installing bridge_jax$extras (about 1.5 GB; a few minutes the first time)"
    pip_install --quiet --disable-pip-version-check \
      -c "$home/.constraints.txt" -e "$home$extras" ||
      fail "the installation failed; pip's lines above say why." \
        "Run the same command again to go on"
    fingerprint > "$stamp"
  fi
}
