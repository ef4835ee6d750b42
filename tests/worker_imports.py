"""What every worker needs, imported once by the server that workers are forked from.

Nothing here touches a device: a worker chooses its own after it is forked.
"""

import warnings

# jax warns of forks because its threads are lost in them; it has started none yet.
warnings.filterwarnings("ignore", ".*os.fork.*", RuntimeWarning)

import grain  # noqa: F401
import miniature  # noqa: F401
import toy  # noqa: F401

from bridge_jax.train import loop, recipe  # noqa: F401
