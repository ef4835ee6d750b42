"""HunyuanDiT v1.2: the latent diffusion decoder."""
