"""One file a kind of fixture.

Each has `rules(fixture)`, the weight tables of its parts; `compute(fixture)`, which
yields what we make of every recorded array; and `LEFT_OUT`, name pattern -> reason.
"""
