"""Captions and states to pictures: what is drawn, how large, and which is kept."""
