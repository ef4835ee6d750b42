"""The tiny world's tokenizers as Hugging Face folders, and what builds them."""
