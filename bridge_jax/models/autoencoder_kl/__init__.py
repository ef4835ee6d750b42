"""The KL-regularised autoencoder of latent diffusion (diffusers' AutoencoderKL)."""
