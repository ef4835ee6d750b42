"""What a caller can choose, checked before anything is computed."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from bridge_jax.core.config import suggest
from bridge_jax.core.errors import BridgeError
from bridge_jax.diffusion import samplers

CHOICES = {
    "condition": ("queries", "text"),
    "mask": ("all", "caption"),
    "bert": ("empty", "caption"),
}


@dataclasses.dataclass(frozen=True)
class Limits:
    """How much is taken on at once.

    Attributes:
      max_context: most LLM tokens of a prompt and its answer together.
      rows: conversations, or things to embed, that run as one batch.
      images: pictures drawn as one batch.
    """

    max_context: int = 1024
    rows: int = 64
    images: int = 32


DEFAULT_LIMITS = Limits()


@dataclasses.dataclass(frozen=True)
class Settings:
    """How a picture is drawn.

    Attributes:
      seed: of all noise; the same request then gives the same picture.
      sampler: a file of `diffusion/samplers`: "dpm", "ddim" or "ddpm".
      steps: denoiser calls a picture.
      guidance: scale of classifier-free guidance; 1 for none.
      rescale: 0 to 1, see `diffusion/guidance.py`.
      condition: "queries" (the aligner's output takes the place of mT5's) or "text"
        (mT5 reads the caption).
      mask: under "queries", which positions the decoder sees: "all", or as many as
        the caption has tokens ("caption", as released).
      bert: whether BERT reads nothing ("empty") or the caption. Empty unless said for
        drawing from queries, which must carry a picture alone; the caption for edits,
        in which no query stands.
      rewrite: whether the LLM writes the caption, or the prompt is the caption.

    Raises:
      BridgeError: every value that cannot be, at once.
    """

    seed: int = 0
    sampler: str = "dpm"
    steps: int = 25
    guidance: float = 2.0
    rescale: float = 0.0
    condition: str = "queries"
    mask: str = "all"
    bert: str = "empty"
    rewrite: bool = True

    def __post_init__(self):
        problems = [
            f"{name} {getattr(self, name)!r} is none of {', '.join(known)}"
            f"{suggest(str(getattr(self, name)), known)}"
            for name, known in CHOICES.items()
            if getattr(self, name) not in known
        ]
        problems += seed_problems(self.seed)
        if not (math.isfinite(self.guidance) and self.guidance >= 0):
            problems.append(f"guidance {self.guidance} is not a number from 0 up")
        if not 0 <= self.rescale <= 1:
            problems.append(f"rescale {self.rescale} is not between 0 and 1")
        if isinstance(self.steps, bool) or not isinstance(self.steps, int):
            problems.append(f"steps {self.steps!r} is not a whole number")
        else:
            try:
                samplers.load(self.sampler).timesteps(self.steps)
            except BridgeError as error:
                problems.append(str(error))
        if problems:
            raise BridgeError("; ".join(problems))

    @property
    def sampling(self) -> dict[str, Any]:
        """What the painting program is compiled for."""
        names = ("sampler", "steps", "guidance", "rescale")
        return {name: getattr(self, name) for name in names}


def make(given: Mapping[str, Any], bert: str = "empty") -> Settings:
    """Settings of keyword arguments.

    Args:
      bert: what BERT reads under "queries" where that is not said, or None.

    Raises:
      BridgeError: unknown names, and what `Settings` raises.
    """
    known = [field.name for field in dataclasses.fields(Settings)]
    unknown = [f"{name!r}{suggest(name, known)}" for name in given if name not in known]
    if unknown:
        raise BridgeError(
            f"no setting {', '.join(unknown)}; there are {', '.join(known)}"
        )
    given = dict(given)
    if given.get("bert") is None:
        given["bert"] = "caption" if given.get("condition") == "text" else bert
    return Settings(**given)


def seed_problems(seed: Any) -> list[str]:
    """A sentence if `seed` is not one."""
    fits = isinstance(seed, int) and not isinstance(seed, bool) and 0 <= seed < 2**32
    return [] if fits else [f"seed {seed!r} is not a whole number from 0 to 2**32 - 1"]
