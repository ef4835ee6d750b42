"""`python -m bridge_jax` is the same as `bridge`."""

import sys

from bridge_jax.cli import main

sys.exit(main.main())
