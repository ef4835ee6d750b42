"""OmniBridge, LangBridge and LatentUMM in JAX."""
