"""Our models and losses against recorded runs of the reference implementations.

A fixture is NAME.npz with NAME.json beside it: weights under the reference's own tensor
names, inputs, outputs and gradients. `components/` has one file a kind of fixture.
"""
