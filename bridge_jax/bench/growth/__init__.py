"""How time and memory grow with what is asked: no faster than they have to?

`axes` says what grows, `curve` judges, `process` runs the points of one axis, `measure`
all of them, `plot` draws. Times are compared with the arithmetic that `core/flops`
counts in the same programs, memory (what a program takes for itself, beside what it is
given and gives) with an order that the axis names.
"""
