"""Rank 0: small shared ideas that depend on jax, flax and numpy alone."""
