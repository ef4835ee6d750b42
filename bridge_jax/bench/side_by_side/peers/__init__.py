"""What torch, transformers and diffusers need to do the same work."""
