"""A server with the stand-in as a process of its own, which tells its address.

    python server_process.py SECONDS

Every word of its answers takes SECONDS.
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import stand_in

from bridge_jax.serve import run, security, served
from bridge_jax.serve.limits import Limits


class Slow(stand_in.StandIn):
    """Takes its time."""

    def wait(self):
        time.sleep(float(sys.argv[1]))


if __name__ == "__main__":
    made = served.Served(Slow(), "stand-in", Limits(rows=8, waiting=64))
    run.serve(made, security.Security(), run.bind("127.0.0.1", 0))
