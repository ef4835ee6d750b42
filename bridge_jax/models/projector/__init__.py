"""Projector: language-model states to the aligner's width."""
