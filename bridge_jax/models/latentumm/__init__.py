"""LatentUMM (arXiv 2605.17766): the ways into and out of a shared latent space."""
