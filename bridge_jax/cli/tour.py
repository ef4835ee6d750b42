"""The quickstart's way through the house: look, train, compare, report.

    WORKDIR/first_look.png        what the shipped model does
    WORKDIR/stage1, stage2        two training runs, each with its weights/
    WORKDIR/evaluation/MODEL      untrained, trained and shipped, measured alike
    WORKDIR/report.html, metrics.json

Each step leaves a file that tells a second run that it is done.
"""

import dataclasses
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

import bridge_jax
from bridge_jax.checkpoint import weights_file
from bridge_jax.cli import resolve, sample_pictures
from bridge_jax.core import log
from bridge_jax.core.types import Params
from bridge_jax.eval import ledger, records
from bridge_jax.eval import options as options_lib
from bridge_jax.eval import run as evaluation
from bridge_jax.eval.pages import first_look, report, summary
from bridge_jax.inference.engine import Engine
from bridge_jax.inference.model import Model
from bridge_jax.models import build
from bridge_jax.train import recipe as recipe_lib
from bridge_jax.train import stage1, stage2

SPLIT = "test"


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is trained, and how much is measured.

    Attributes:
      model: the finished model, see `checkpoint.locate`.
      stage1, stage2: configs, "file[:variant][,key=value...]".
      pictures: how often stage 2 draws sample pictures.
      options: fields of `eval.options.Options`; three models are measured, so they
        are few.
      scan: parts whose layers run as loops, in training and in all that is shown.
    """

    model: str
    stage1: str
    stage2: str
    pictures: int
    options: Mapping[str, int]
    scan: tuple[str, ...] = ()


LIVE = Plan(
    model="shapes-tiny",
    stage1="configs/shapes_stage1.py:quickstart",
    stage2="configs/shapes_stage2.py:quickstart",
    pictures=4,
    options={"questions": 200, "prompts_per_tag": 4, "edits": 24, "scenes": 200},
)
FEW = ",total_steps=4,log_every=2,checkpoint_every=4,optim.warmup_steps=0"
TINY = Plan(
    model="shapes-tiny",
    stage1=f"{LIVE.stage1}{FEW},streams.main.batch=8",
    stage2=f"{LIVE.stage2}{FEW}",
    pictures=1,
    # Of so few steps most is compiling, which is less where layers are scanned.
    scan=("aligner", "mt5", "dit", "vlm"),
    # As many of each as the first look has, or sample pictures: their programs serve.
    options={
        "questions": 16,
        "prompts_per_tag": 1,
        "images_per_prompt": 2,
        "edits": 4,
        "scenes": 32,
        "steps": 2,
    },
)


def run(workdir: Path, plan: Plan = LIVE) -> dict[str, Any]:
    """Go all the way, or what is left of it, and return what metrics.json holds.

    Raises:
      BridgeError: the model or a config is missing, or `workdir` holds something else.
    """
    began = time.perf_counter()

    def heading(text: str) -> None:
        minutes, seconds = divmod(int(time.perf_counter() - began), 60)
        log.say(f"\n[{minutes:02}:{seconds:02}] {text}")

    first, second = _configs(plan, workdir)
    heading(f"{plan.model} answers, draws, edits and finds")
    shipped = _scanned(bridge_jax.load(plan.model), plan.scan)
    options = options_lib.Options(**plan.options)
    if not (workdir / "first_look.png").is_file():
        first_look.save(shipped, workdir / "first_look.png", SPLIT, options)
    heading("stage 1: the language model learns to answer and to rewrite")
    _train(stage1, first, workdir / "stage1", options)
    heading("stage 2: the aligner learns to guide the decoder, and to retrieve")
    _train(stage2, second, workdir / "stage2", options)
    folders = {}
    for name, model in _models(shipped, first, second, workdir):
        heading(f"measuring the {name} model")
        folders[name] = workdir / "evaluation" / name
        evaluation.evaluate(
            model, evaluation.USUAL, SPLIT, folders[name], resume=True, **plan.options
        )
    metrics = _report(workdir, folders)
    heading("done")
    return metrics


def _configs(plan: Plan, workdir: Path) -> tuple[ConfigDict, ConfigDict]:
    """Both stages' configs, the second starting from the LLM that the first trains."""
    first, second = (resolve.resolve(s, ()) for s in (plan.stage1, plan.stage2))
    for config in (first, second):
        for part in set(config.model) & set(plan.scan):
            with config.unlocked():
                config.model[part].scan = True
    with second.unlocked():
        second.init_from = _without_vlm(second.init_from)
        second.init_from.vlm = f"{workdir / 'stage1' / recipe_lib.WEIGHTS}:vlm"
        second.pictures_every = max(1, second.total_steps // plan.pictures)
    return first, second


def _scanned(model: Model, parts: tuple[str, ...]) -> Model:
    """The same model, the layers of these parts run as loops."""
    engine = model.engine
    told = engine.bundle.description()
    for part in parts:
        told[part]["scan"] = True
    engine = Engine(build.build(told), engine.processor, engine.layout, engine.limits)
    return Model(engine, model.params)


def _without_vlm(init_from: ConfigDict) -> ConfigDict:
    parts = {part: source for part, source in init_from.items()}
    return ConfigDict({p: s for p, s in parts.items() if p.split("/")[0] != "vlm"})


def _train(
    stage: Any, config: ConfigDict, workdir: Path, options: options_lib.Options
) -> None:
    if (workdir / recipe_lib.WEIGHTS / weights_file.WEIGHTS).is_file():
        log.say(f"done before, in {workdir}")
        return
    hooks = ()
    if config.pictures_every:
        folder = workdir / "pictures"
        hooks = (sample_pictures.hook(config, folder, **options.sampling),)
    stage.run(config, workdir, "auto", hooks)


def _models(
    shipped: Model, first: ConfigDict, second: ConfigDict, workdir: Path
) -> Iterator[tuple[str, Model]]:
    """The three models, one after another: each is forgotten before the next is made.

    They share the shipped model's compiled programs.
    """
    yield "untrained", shipped.with_params(_untrained(first, second))
    folder = workdir / "stage2" / recipe_lib.WEIGHTS
    yield "trained", shipped.with_params(weights_file.load(folder))
    yield "shipped", shipped


def _untrained(first: ConfigDict, second: ConfigDict) -> Params:
    """What both stages start from: the stage-0 parts and a fresh aligner."""
    config = second.copy_and_resolve_references()
    with config.unlocked():
        config.init_from = ConfigDict(
            {**_without_vlm(second.init_from), **first.init_from}
        )
    return recipe_lib.make(config).fresh_params()


def _report(workdir: Path, folders: Mapping[str, Path]) -> dict[str, Any]:
    training = {"stage 1": workdir / "stage1", "stage 2": workdir / "stage2"}
    page = workdir / "report.html"
    metrics = report.write(page, folders, training)
    records.write_json(workdir / ledger.FILE, metrics)
    for title, folder in training.items():
        changes = report.losses(folder)
        terms = (f"{name} {a:.3g} -> {b:.3g}" for name, (a, b) in changes.items())
        log.say(f"{title}: {', '.join(terms)}")
    results = {
        name: records.read_json(folder / ledger.FILE)
        for name, folder in folders.items()
    }
    log.say(f"\n{summary.table(results)}\n\n{page}")
    return metrics
