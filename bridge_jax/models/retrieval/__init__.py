"""Retrieval heads: two pooled branches a modality, fused into one embedding."""
