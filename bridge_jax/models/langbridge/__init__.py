"""LangBridge (arXiv 2503.19404): pictures as combinations of an LLM's own words."""
