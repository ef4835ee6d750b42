"""Rank 4: a trained bundle in use. It answers, draws, edits and embeds, in batches.

Start at `load.load`, which gives a `model.Model`; what it does with words is in
`answering`, what it does with pictures in `drawing`.
"""
