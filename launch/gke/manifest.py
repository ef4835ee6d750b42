"""Fill jobset.yaml in: NAME IMAGE ACCELERATOR TOPOLOGY SLICES COMMAND... -> stdout.

Runs with any Python 3, without bridge_jax.
"""

import json
import math
import os
import re
import string
import sys
from pathlib import Path

# Chips of a host in a multi-host slice of each GKE accelerator.
CHIPS = {
    "tpu-v4-podslice": 4,
    "tpu-v5p-slice": 4,
    "tpu-v5-lite-podslice": 4,
    "tpu-v6e-slice": 4,
}


def main(argv):
    name, image, accelerator, topology, slices, *command = argv
    problems = []
    if not re.fullmatch(r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?", name):
        problems.append(f"NAME {name!r} must be lower-case letters, digits and dashes")
    if accelerator not in CHIPS:
        problems.append(f"ACCELERATOR {accelerator!r} is none of {', '.join(CHIPS)}")
    if not re.fullmatch(r"\d+x\d+(x\d+)?", topology):
        problems.append(f"TOPOLOGY {topology!r} is not like 4x4 or 2x4x4")
    if not re.fullmatch(r"[1-9]\d*", slices):
        problems.append(f"SLICES {slices!r} is not a number of slices")
    if problems:
        print(f"manifest: {'; '.join(problems)}", file=sys.stderr)
        sys.exit(2)
    chips = math.prod(int(side) for side in topology.split("x"))
    per_host = min(CHIPS[accelerator], chips)
    template = Path(__file__).with_name("jobset.yaml").read_text()
    print(
        string.Template(template).substitute(
            NAME=name,
            IMAGE=json.dumps(image),
            ACCELERATOR=accelerator,
            TOPOLOGY=topology,
            SLICES=slices,
            HOSTS=chips // per_host,
            CHIPS=per_host,
            RESTARTS=int(os.environ.get("BRIDGE_JAX_RESTARTS", "100")),
            VOLUME=json.dumps(os.environ.get("BRIDGE_JAX_VOLUME", "bridge-jax-runs")),
            ARGS=json.dumps(command),
        ),
        end="",
    )


if __name__ == "__main__":
    main(sys.argv[1:])
