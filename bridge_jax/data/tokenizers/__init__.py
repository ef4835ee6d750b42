"""The tiny world's three tokenizers as Hugging Face folders, and what builds them."""
