"""Qwen2-VL: native-resolution vision tower and M-RoPE decoder (arXiv 2409.12191)."""
