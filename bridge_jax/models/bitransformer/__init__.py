"""BiTransformer: learned queries aligned with the language model's states."""
