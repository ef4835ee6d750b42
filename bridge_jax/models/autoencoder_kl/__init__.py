"""The KL-regularised image autoencoder of latent diffusion (diffusers' AutoencoderKL)."""
