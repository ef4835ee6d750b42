"""How much is evaluated, and how pictures are sampled: one flat list of settings."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

from bridge_jax.core import config as config_lib
from bridge_jax.core.errors import BridgeError
from bridge_jax.data import shapes_world

CONDITIONS = ("queries", "text")
# What outside benchmarks go by, beside the first condition.
OF_ANY_BENCHMARK = (
    "seed",
    "think",
    "images_per_prompt",
    "rewrite",
    "edits_bert",
    "sampler",
    "steps",
    "guidance",
    "rescale",
    "best_of",
)


@dataclasses.dataclass(frozen=True)
class Options:
    """The defaults are what published figures are measured with, but for guidance.

    `bridge evaluate` and the commands that draw guide by 3, Python by 2.

    Attributes:
      seed: of the noise that pictures are drawn from; items have seeds of their own.
      batch: most rows, or pictures, asked of the model at once.
      questions: how many in all, `questions_per_picture` about each picture.
      think: whether questions are asked to be thought about before they are answered,
        see `data/thinking.py`; what is then judged is the conclusion.
      prompts_per_tag: for each of GenEval's six tags.
      images_per_prompt: pictures drawn for each prompt.
      conditions: what conditions the decoder: learned "queries", mT5's "text".
      rewrite: whether the model rewrites prompts before it draws them.
      edits: how many, its six kinds equally often.
      edits_bert: what BERT reads in edits, their "caption" or nothing ("empty").
      scenes: how many retrieval searches among, and how many are reconstructed.
      chains: how many scenes go round in consistency, `cycles` times; they are drawn
        from the first of `conditions`.
      captions: style of retrieval's and consistency's, a name of `shapes_world.STYLES`.
      sampler, steps, guidance, rescale, best_of: see `bridge_jax.inference`.
    """

    seed: int = 0
    batch: int = 64
    questions: int = 1000
    questions_per_picture: int = 4
    think: bool = False
    prompts_per_tag: int = 25
    images_per_prompt: int = 4
    conditions: tuple[str, ...] = CONDITIONS
    rewrite: bool = True
    edits: int = 200
    edits_bert: Literal["caption", "empty"] = "caption"
    scenes: int = 500
    chains: int = 128
    cycles: int = 3
    captions: str = "canonical"
    sampler: Literal["dpm", "ddim", "ddpm"] = "dpm"
    steps: int = 25
    guidance: float = 2.0
    rescale: float = 0.0
    best_of: int = 1

    @property
    def sampling(self) -> dict[str, str | int | float]:
        """Keyword arguments that `generate` and `edit` share."""
        names = ("sampler", "steps", "guidance", "rescale", "best_of")
        return {name: getattr(self, name) for name in names}

    def limited(self, limit: int | None) -> "Options":
        """With at most `limit` questions, prompts, edits, scenes and chains."""
        if limit is None:
            return self
        return dataclasses.replace(
            self,
            questions=min(self.questions, limit),
            prompts_per_tag=min(self.prompts_per_tag, max(1, limit // 6)),
            edits=min(self.edits, limit),
            scenes=min(self.scenes, limit),
            chains=min(self.chains, limit),
        )


def made(given: Mapping[str, Any]) -> Options:
    """Options of keyword arguments. Raises BridgeError with all mistakes at once."""
    chosen = config_lib.to_dataclass(Options, dict(given), where="options")
    problems = _wrong_values(chosen)
    if problems:
        raise BridgeError("; ".join(problems))
    return chosen


def _wrong_values(options: Options) -> list[str]:
    problems = []
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        if type(value) is int and field.name != "seed" and value < 1:
            problems.append(f"options.{field.name} is {value}: it must be at least 1")
    unknown = [name for name in options.conditions if name not in CONDITIONS]
    if unknown or not options.conditions:
        problems.append(f"options.conditions: choose from {', '.join(CONDITIONS)}")
    if options.captions not in shapes_world.STYLES:
        styles = ", ".join(shapes_world.STYLES)
        problems.append(f"options.captions {options.captions!r} is none of {styles}")
    return problems
