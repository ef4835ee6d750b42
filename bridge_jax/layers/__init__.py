"""Rank 1: building blocks that box their parameters with logical axis names."""
