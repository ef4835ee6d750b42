"""How much of one accelerator our programs use, against what it was measured to give.

The ceilings come first: the fastest matrix product and the fastest copy that this card
did here, today. Every work then runs in a process of its own, on random weights of the
published sizes, is warmed up, and is timed. `works` says what there is.
"""
