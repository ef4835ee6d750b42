"""LLaVA (arXiv 2304.08485, 2310.03744): a tower, a connector and a text decoder."""
