"""Text decoders: Qwen2, Qwen2.5 and LLaMA-3 in one implementation."""
