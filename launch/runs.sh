# shellcheck shell=bash
# Sourced by launchers of several runs, after environment.sh and its `prepare`.
#
#   bridge ...                                    the command line, whatever the PATH
#   train NAME CONFIG [--config.key=value ...]    one run, in $runs/NAME; resumes, and is
#                                                 skipped once it has finished
# shellcheck disable=SC2154  # $python is environment.sh's, $runs the launcher's

bridge() {
  "$python" -m bridge_jax "$@"
}

train() {
  local name=$1 config=$2
  shift 2
  if [ -f "$runs/$name/weights/config.json" ]; then
    echo "$name: finished before"
    return
  fi
  echo "$name: $config"
  local start=$SECONDS
  bridge train --config "$config" --workdir "$runs/$name" --resume auto "$@"
  echo "$name: $((SECONDS - start)) s"
}
