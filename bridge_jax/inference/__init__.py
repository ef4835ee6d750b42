"""Rank 4: a trained bundle in use. It answers, draws, edits and embeds, in batches.

Start at `load.load`, which gives a `model.Model`; each of its tasks is one file here.
"""
