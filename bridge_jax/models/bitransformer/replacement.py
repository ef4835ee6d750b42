"""Which positions the learned query tokens replace."""

import jax
import jax.numpy as jnp


def sample_mask(
    key: jax.Array,
    ratio: float | jax.Array,
    shape: tuple[int, int],
    edit_rows: jax.Array | None = None,
) -> jax.Array:
    """Replace every position with probability `ratio`, independently.

    Args:
      key: random key.
      ratio: [] or [B] in [0, 1]; 0 replaces nothing and 1 everything, exactly.
      shape: (B, L).
      edit_rows: bool [B], rows of editing samples.

    Returns:
      bool [B, L] for `BiTransformer(..., replace=...)`.
    """
    draws = jax.random.uniform(key, shape)  # in [0, 1)
    mask = draws < jnp.reshape(jnp.asarray(ratio), (-1, 1))
    return mask if edit_rows is None else spare_edits(mask, edit_rows)


def spare_edits(mask: jax.Array, edit_rows: jax.Array) -> jax.Array:
    """Editing samples keep their text: mask [B, L] False in `edit_rows` bool [B]."""
    return jnp.logical_and(mask, ~edit_rows[:, None])
