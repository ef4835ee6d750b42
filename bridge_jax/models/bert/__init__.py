"""BERT text encoder: the decoder's first text side."""
