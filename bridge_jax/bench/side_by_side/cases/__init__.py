"""What is compared, one file a model: CASES maps the work to a `case.Case`.

A file imports jax and torch inside its sides: a process needs one of them.
"""
