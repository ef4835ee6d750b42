"""A two-layer model on made-up data, small enough to train in a test."""

import dataclasses
from pathlib import Path

import flax.linen as nn
import grain
import jax
import jax.numpy as jnp
import numpy as np

from bridge_jax.core import term
from bridge_jax.layers import linear
from bridge_jax.sharding import place
from bridge_jax.train import loop, optim, state, step

MODEL = {"width": 16, "outputs": 4}


class Toy(nn.Module):
    """x [B, 8] -> [B, 4]."""

    @nn.compact
    def __call__(self, x, deterministic=True):
        hidden = linear.Dense(16, ("embed", "mlp"), use_bias=True, name="first")(x)
        hidden = nn.Dropout(0.1)(nn.gelu(hidden), deterministic=deterministic)
        hidden = linear.constrain(hidden, ("batch", "mlp"))
        return linear.Dense(4, ("mlp", "latent"), use_bias=True, name="second")(hidden)


def loss_fn(params, batch, rngs, at, *, dropout=False):
    """Masked squared error, and a term of its own for the size of the output."""
    y = Toy().apply(
        {"params": params},
        batch["x"],
        deterministic=not dropout,
        rngs={"dropout": rngs["dropout"]},
    )
    error = jnp.square(y - batch["y"]).mean(-1) * batch["mask"]
    count = batch["mask"].sum()
    fit = term.Term(error.sum(), count, {"largest": (error.max(), jnp.ones(()))})
    size = term.Term(jnp.square(y).sum(), jnp.float32(y.size))
    return {"fit": (1.0, fit), "size": (1e-3, size)}


@dataclasses.dataclass(frozen=True)
class Rows(grain.sources.RandomAccessDataSource):
    """Row i is a pure function of i; masks are uneven on purpose."""

    length: int = 64

    def __len__(self):
        return self.length

    def __getitem__(self, i):
        draw = np.random.default_rng(int(i))
        x = draw.normal(size=8).astype(np.float32)
        y = np.stack([x[0] * x[1], x[2], np.sin(x[3]), x[4:].mean()])
        return {"x": x, "y": y.astype(np.float32), "mask": np.float32(i % 3 != 0)}


def data(batch=16, seed=0, share=0, shares=1):
    """An endless iterator of one process's share of batches with an exact position."""
    source = grain.MapDataset.source(Rows()).seed(seed).shuffle().repeat()
    options = grain.ReadOptions(num_threads=1, prefetch_buffer_size=2)
    mine = source[share::shares].batch(batch // shares)
    return iter(mine.to_iter_dataset(options))


def layout(devices=8, rules="fsdp_tp", **sizes):
    sizes = sizes or {"data": -1}
    return place.make(sizes, rules, devices=jax.devices()[:devices])  # None: all


def fresh(where, config=None, total_steps=20, seed=3):
    """(state, optimiser) of a new run."""

    def make(key):
        return Toy().init(key, jnp.zeros((1, 8)))["params"]

    params = place.init(where, make, jax.random.key(seed))
    optimizer = optim.make(config or optim.OptimConfig(), params, total_steps)
    return state.create(params, optimizer, seed, where), optimizer


def run(workdir, total_steps=8, where=None, config=None, loss=loss_fn, **given):
    """A Run of the toy, to be changed through keyword arguments."""
    where = where or layout()
    made, optimizer = fresh(where, config, total_steps=20)
    settings = {
        "workdir": Path(workdir),
        "total_steps": total_steps,
        "step": step.Step(loss, optimizer, where),
        "state": made,
        "data": data(),
        "model": MODEL,
        "config": {"seed": 3},
        "log_every": 2,
        "checkpoint_every": 0,
    }
    return loop.Run(**(settings | given))


class Losses:
    """A hook that remembers every step's figures."""

    every = 1

    def __init__(self):
        self.seen = {}

    def __call__(self, step, state, figures):
        self.seen[step] = figures
