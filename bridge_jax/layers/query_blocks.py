"""Which queries of an attention one CPU computes together.

Where nobody sees later keys, a block of queries needs keys up to its own end alone: n
blocks do (n + 1) / 2n of the arithmetic, and keep as much. Where all see all, XLA's
fused attention on CPUs (YNNPACK) takes up to 256 queries at once and falls off from
there: 257, a picture's of CLIP ViT-L/14, take twice as long as 256, or as two halves.
`bench/NOTES.md` has what was measured.
"""

import itertools

from bridge_jax.core import hardware

_CAUSAL, _MOST = 128, 8  # queries of a block; blocks, for each is compiled
_WHOLE, _FALLEN_OFF, _KEYS = 256, 384, 192


def edges(queries: int, keys: int, causal: bool) -> list[tuple[int, int]]:
    """The blocks [start, end) of `queries`, one of them all but on one CPU.

    Args:
      causal: no query sees a later key; there are as many keys as queries.
    """
    count = _count(queries, keys, causal) if hardware.is_one_cpu() else 1
    ends = [queries * i // count for i in range(count + 1)]
    return list(itertools.pairwise(ends))


def _count(queries: int, keys: int, causal: bool) -> int:
    if causal:
        return min(-(-queries // _CAUSAL), _MOST)
    return 2 if _WHOLE < queries <= _FALLEN_OFF and keys > _KEYS else 1
