"""Weights in the layouts that their owners have, into ours and back, bit for bit.

`formats/` has one file a layout. Tensors stream one by one: no file is read whole.
"""
