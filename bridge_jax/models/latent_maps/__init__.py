"""LatentUMM inside a unified model (arXiv 2605.17766): out of its states and back."""
