"""How many arrays as large as a parameter a toy's step copies: our rule, and optax's.

    python copies.py

A process of its own, as one loop for several results (`core/compiler`) copies none with
either, and XLA reads that option once.
"""

import dataclasses
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import jax
import optax
import toy

from bridge_jax.train import optim, steady, step
from bridge_jax.train import state as train_state

where = toy.layout(1)
config = optim.OptimConfig(learning_rate=1e-3, ema_decay=0.9)
state, optimizer = toy.fresh(where, config)
batch = where.put_batch(next(toy.data()))
sizes = {leaf.shape for leaf in jax.tree.leaves(state.params)}


def copied(rule):
    started = train_state.create(state.params, rule, 0, where)
    text = step.Step(toy.loss_fn, rule, where).compile(started, batch).as_text()
    found = re.findall(r"f32\[([\d,]+)\]\S* copy\(", text)
    return sum(tuple(map(int, one.split(","))) in sizes for one in found)


late = steady.steady(optax.adam(1e-3))
print(copied(optimizer), copied(dataclasses.replace(optimizer, transform=late)))
