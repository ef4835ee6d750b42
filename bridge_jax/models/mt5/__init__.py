"""mT5 text encoder: the decoder's second text side and the aligner's ancestor."""
