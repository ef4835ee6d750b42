"""What the tasks return."""

import dataclasses
from typing import NamedTuple

import numpy as np

from bridge_jax.inference.settings import Settings


@dataclasses.dataclass(frozen=True)
class Answer:
    """What the LLM said.

    Attributes:
      text: without control tokens.
      tokens: int32 ids, the one that ended the answer left out.
      finished: False where `max_new_tokens` cut it short.
    """

    text: str
    tokens: np.ndarray
    finished: bool


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
