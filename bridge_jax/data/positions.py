"""How the tokens of a row are numbered for the rotary embedding, by name."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from bridge_jax.data import mrope

# (visual [T] bool, grids, merge) -> [3, T] int32; see `mrope.row_positions`.
Rule = Callable[[np.ndarray, Sequence[Sequence[int]], int], np.ndarray]


def plain(
    visual: np.ndarray, grids: Sequence[Sequence[int]], merge: int = 2
) -> np.ndarray:
    """One after another, words and visual tokens alike, the same on all three axes.

    For decoders that turn by one axis, such as Qwen2's and LLaMA's.
    """
    mrope.row_positions(visual, grids, merge)  # for its errors
    count = np.arange(len(visual), dtype=np.int32)
    return np.broadcast_to(count, (3, len(visual)))


RULES: Mapping[str, Rule] = {"mrope": mrope.row_positions, "plain": plain}
