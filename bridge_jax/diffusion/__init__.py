"""Rank 1: the mathematics of diffusion; arrays in, arrays out, no parameters."""
