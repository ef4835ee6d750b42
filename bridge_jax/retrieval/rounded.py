"""A search in rounded vectors whose answer is proven to be the exact one.

Vectors rounded to bfloat16 are half as many bytes and, on processors that multiply
them, twice as fast. Of vector x and query q they keep x' and q', and by Cauchy-Schwarz

    |q.x - q'.x'|  <=  |q - q'| |x|  +  |q'| |x - x'|  +  rounding of the sum

which is at most some e(q) for all vectors. So the KEPT best by rounded scores are
scored again, in float64; if even the last of them plus e(q) is below the k-th best
score, then no other vector can be among the k. Where it is not (many vectors that are
nearly alike), the query is searched for in full.
"""

import numpy as np

_UNIT = 2.0**-24  # of float32, in which products are summed up
_SAFE = 1.001  # norms are computed with rounding, too
KEPT = 64  # at least; of k, four times as many


class Norms:
    """The largest norms of what `add` saw.

    Attributes:
      longest: at least |x| of each vector.
      residual: at least |x - x'| of each.
    """

    def __init__(self):
        self.longest = self.residual = 0.0

    def add(self, vectors: np.ndarray, near: np.ndarray) -> None:
        """Vectors float32 [n, E], and the same rounded."""
        lost = vectors - near.astype(np.float32)  # exact: they share their first bits
        self.longest = max(self.longest, _longest(vectors))
        self.residual = max(self.residual, _longest(lost))


def kept(k: int) -> int:
    """How many of the best by rounded scores are scored again."""
    return max(KEPT, 4 * k)


def error(
    queries: np.ndarray, near: np.ndarray, longest: float, residual: float
) -> np.ndarray:
    """float64 [Q]: at most so far are rounded scores from the exact ones.

    Args:
      queries: float32 [Q, E].
      near: bfloat16 [Q, E], the same rounded.
    """
    lost = _norms(queries - near.astype(np.float32))
    whole = np.maximum(_norms(queries), _norms(near.astype(np.float32)))
    width = queries.shape[1]
    summed = 2 * (width + 2) * _UNIT * whole * longest * _SAFE
    tiny = width * 2.0**-120  # what is too small for a normal number may become 0
    return lost * longest + whole * residual + summed + tiny


def _norms(rows: np.ndarray) -> np.ndarray:
    squares = np.einsum("ne,ne->n", rows, rows, dtype=np.float64)
    return np.sqrt(squares) * _SAFE


def _longest(rows: np.ndarray) -> float:
    return float(_norms(rows).max(initial=0.0))
