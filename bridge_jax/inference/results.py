"""What the tasks return."""

import dataclasses
from typing import NamedTuple

import numpy as np

from bridge_jax.data import thinking
from bridge_jax.inference.settings import Settings


class Scored(NamedTuple):
    """A token and its natural log-probability.

    Attributes:
      text: of the token alone; half of a letter is U+FFFD.
      others: the likeliest tokens in its place, itself among them, if it is.
    """

    token: int
    text: str
    log_probability: float
    others: tuple["Scored", ...] = ()


@dataclasses.dataclass(frozen=True)
class Answer:
    """What the LLM said.

    Attributes:
      text: without control tokens.
      tokens: int32 ids, the one that ended the answer left out.
      finished: False where `max_new_tokens` cut it short, or it was cancelled.
      cancelled: True where whoever asked wanted no more of it.
      logprobs: one `Scored` a token, if they were asked for.
      prompt_tokens: how many tokens were read before the answer.
      reused: how many of these were remembered, and not read again.
    """

    text: str
    tokens: np.ndarray
    finished: bool
    cancelled: bool = False
    logprobs: tuple[Scored, ...] | None = None
    prompt_tokens: int = 0
    reused: int = 0

    @property
    def conclusion(self) -> str:
        """Of an answer that was to be thought about, what comes after the thought."""
        return thinking.conclusion(self.text)

    @property
    def finish(self) -> str:
        """Why it ends: "stop", "length" or "cancelled"."""
        if self.cancelled:
            return "cancelled"
        return "stop" if self.finished else "length"


class Likelihood(NamedTuple):
    """Natural log-probability of some words together, and how many tokens they are."""

    log_probability: float
    tokens: int


@dataclasses.dataclass(frozen=True)
class Caption:
    """What is to be drawn, and a remark where it is not what the LLM wrote."""

    text: str
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Drawing:
    """Pictures of one prompt: `images` uint8 [n, H, W, 3]."""

    prompt: str
    caption: str
    images: np.ndarray
    settings: Settings
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Edited:
    """Pictures of one edit: `images` uint8 [n, H, W, 3]; `caption` is their content."""

    instruction: str
    caption: str
    images: np.ndarray
    settings: Settings
    note: str = ""
