"""From what is seen to the decoder's input, one file a connector.

A `Connector(config)` turns features [B, N, width of the tower] into visual tokens
[B, N, D]; `embed`, ids [n] -> [n, D], is the decoder's own table.
"""

from collections.abc import Callable

import jax

Embed = Callable[[jax.Array], jax.Array]
