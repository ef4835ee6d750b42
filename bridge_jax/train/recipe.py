"""From a config to what the loop needs: the rooms, furnished in order.

The three entry points (`pretrain`, `stage1`, `stage2`) differ in which parts train, on
which streams and by which objectives. All of that is data; this is what they share.
"""

import dataclasses
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import jax

from bridge_jax.checkpoint import weights_file
from bridge_jax.core import config as config_lib
from bridge_jax.core import rng, term
from bridge_jax.core.errors import BridgeError
from bridge_jax.core.types import Array, Params
from bridge_jax.data import pipeline, vocabulary
from bridge_jax.data import processor as processor_lib
from bridge_jax.data.cache import reading
from bridge_jax.models import build, view
from bridge_jax.models import bundle as bundle_lib
from bridge_jax.models import replacement as replacement_lib
from bridge_jax.objectives import base
from bridge_jax.sharding import place
from bridge_jax.train import cached, loop, start
from bridge_jax.train import hooks as hooks_lib
from bridge_jax.train import optim as optim_lib
from bridge_jax.train import state as state_lib
from bridge_jax.train import step as step_lib

WEIGHTS = "weights"  # folder below the work directory with the finished model


@dataclasses.dataclass(frozen=True)
class Config:
    """One run, as configs/*.py describe it.

    Attributes:
      entry: which entry point of `train` runs it.
      model: part -> {"family", "size", **overrides}.
      processor: how text and pictures become arrays.
      streams: stream -> {"source", "batch", **fields}; see `data/pipeline.py`.
      objectives: label -> {"name"?, "weight", "stream", ...}; see `objectives/base.py`.
      init_from: part (or path below it) -> "folder[:prefix]" of weights to start from.
      aligner_init: how an aligner takes over mT5's weights, or "fresh"; what
        `init_from` has of one stays.
      replacement: schedule of learned queries (stage 2).
      lora: low-rank adapters, if its rank is not 0; then "lora/.*" is what trains.
      cache: captions and states made before, by `bridge cache build` (stage 2).
      mesh: axis -> size, -1 for the rest; rules: a table of `sharding/rules.py`.
      matmul_precision: how float32 is multiplied on devices that can, by jax's names
        (factors and sums); "" leaves it to jax_default_matmul_precision.
      patience, rollbacks: what happens after skipped steps in a row; see `loop.Run`.
      hang_seconds: a process without a step for so long exits with 200; 0 never.
      reader_threads, reader_processes: who makes rows; see `pipeline.Settings`.
      pictures_every: steps between sample pictures, 0 for none.
    """

    model: Mapping[str, Any]
    streams: Mapping[str, Any]
    objectives: Mapping[str, Any]
    entry: Literal["pretrain", "stage1", "stage2"] = "pretrain"
    seed: int = 0
    processor: processor_lib.Config = processor_lib.Config()
    init_from: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    aligner_init: Literal["by_role", "by_name", "fresh"] = "fresh"
    replacement: replacement_lib.Schedule = replacement_lib.Schedule()
    lora: start.Lora = start.Lora()
    optim: optim_lib.OptimConfig = optim_lib.OptimConfig()
    cache: reading.Settings = reading.Settings()
    mesh: Mapping[str, Any] = dataclasses.field(default_factory=lambda: {"data": -1})
    rules: str = "fsdp_tp"
    matmul_precision: Literal["", "BF16_BF16_F32", "TF32_TF32_F32", "highest"] = ""
    total_steps: int = 1000
    accumulate: int = 1
    reader_threads: int = 1
    reader_processes: int = 0
    log_every: int = 50
    checkpoint_every: int = 500
    keep: int = 2
    patience: int = 20
    rollbacks: int = 2
    hang_seconds: float = 3600.0
    pictures_every: int = 0


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A config with its bundle, layout and objectives built, and nothing placed yet."""

    config: Config
    bundle: bundle_lib.Bundle
    layout: place.Layout
    objectives: Mapping[str, Any]
    processor: processor_lib.Processor

    def loss(
        self, params: Params, batch: Any, rngs: rng.Streams, step: Array
    ) -> term.Weighted:
        """label -> (weight, Term): each stream is viewed once, whoever asks."""
        params = start.adapted(params, self.config.lora)
        views: dict[str, view.View] = {}
        terms = {}
        for label, objective in self.objectives.items():
            name = objective.stream
            if name not in views:
                views[name] = view.View(
                    self.bundle,
                    params,
                    batch[name],
                    rngs=rngs.below(name),
                    step=step,
                    schedule=self.config.replacement,
                )
            terms[label] = (objective.weight, objective(views[name]))
        return terms

    def fresh_params(self) -> Params:
        """Initial parameters on the mesh: fresh, from files, aligner from mT5."""
        config = self.config
        origin = start.Start(
            config.seed, dict(config.init_from), config.aligner_init, config.lora
        )
        return origin.params(self.bundle, self.layout)

    def step(self, optimizer: optim_lib.Optimizer) -> step_lib.Step:
        """The training step, not compiled yet."""
        config = self.config
        return step_lib.Step(
            self.loss,
            optimizer,
            self.layout,
            config.accumulate,
            config.matmul_precision,
        )

    def batches(self) -> pipeline.Batches:
        """This process's batches from the beginning."""
        config = self.config
        settings = pipeline.Settings(
            config.streams,
            config.reader_threads,
            config.reader_processes,
            cache=config.cache,
        )
        return pipeline.batches(
            settings, self.processor, jax.process_index(), jax.process_count()
        )


def make(
    config: Config | Mapping[str, Any], devices: Sequence[jax.Device] | None = None
) -> Recipe:
    """Build what a config names, for `devices` (default: every one there is).

    Raises BridgeError for anything the config gets wrong.
    """
    rooms = _rooms(config)
    mesh, rules = dict(rooms["config"].mesh), rooms["config"].rules
    return Recipe(layout=place.make(mesh, rules, devices=devices), **rooms)


def check(config: Config | Mapping[str, Any]) -> None:
    """Raise what `make` does, but for what only the devices can tell; touches none."""
    _rooms(config)


def _rooms(config: Config | Mapping[str, Any]) -> dict[str, Any]:
    """All fields of a Recipe that do not depend on devices."""
    if not isinstance(config, Config):
        config = config_lib.to_dataclass(Config, config)
    config.cache.look()
    objectives = base.load(config.objectives)
    blind = [
        f"objectives.{label} reads stream {one.stream!r}"
        for label, one in objectives.items()
        if one.stream not in config.streams
    ]
    if blind:
        there = ", ".join(config.streams)
        raise BridgeError(f"{'; '.join(blind)}; the streams are {there}")
    return {
        "config": config,
        "bundle": build.build(vocabulary.resolved(config.model)),
        "objectives": objectives,
        "processor": processor_lib.Processor(config.processor),
    }


def run(
    recipe: Recipe,
    resolved: Any,
    workdir: Path,
    resume: bool | Literal["auto"] = False,
    hooks: tuple[hooks_lib.Hook, ...] = (),
) -> state_lib.TrainState:
    """Train `recipe` in `workdir`, then leave the averaged weights in its `weights/`.

    `resolved` is the whole config as saved with every checkpoint.
    """
    began = time.perf_counter()
    loop.claim(workdir, resume)
    config = recipe.config
    params = recipe.fresh_params()
    optimizer = optim_lib.make(config.optim, params, config.total_steps)
    cached.check(
        config.cache, recipe.bundle, params, config.processor, optimizer.trainable
    )
    state = state_lib.create(params, optimizer, config.seed, recipe.layout)
    state = loop.train(
        loop.Run(
            workdir=workdir,
            total_steps=config.total_steps,
            step=recipe.step(optimizer),
            state=state,
            data=recipe.batches(),
            model=recipe.bundle.description(),
            config=resolved,
            hooks=hooks,
            log_every=config.log_every,
            checkpoint_every=config.checkpoint_every,
            resume=resume,
            keep=config.keep,
            patience=config.patience,
            rollbacks=config.rollbacks,
            began=began,
            hang_seconds=config.hang_seconds,
        )
    )
    export(recipe, state.averaged(), workdir / WEIGHTS)
    return state


def export(recipe: Recipe, params: Params, folder: Path) -> None:
    """Write weights that `bridge_jax.load` and `init_from` read, adapters merged."""
    about = {
        "model": recipe.bundle.description(),
        "processor": dataclasses.asdict(recipe.config.processor),
    }
    weights_file.save(folder, start.merged(params, recipe.config.lora), about)
