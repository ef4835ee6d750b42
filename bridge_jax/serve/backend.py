"""What a server needs of a model. `loaded.Loaded` is one; tests have another.

All methods may be called from several threads, block, and raise BridgeError for what
cannot be done.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np

TASKS = ("chat", "draw", "edit", "embed")
Size = tuple[int, int] | str | None
Show = Callable[[int, int, np.ndarray], None]
"""Is shown (step, of how many, pictures uint8 [n, H, W, 3]); may raise to end it."""


@dataclasses.dataclass(frozen=True)
class Ask:
    """A conversation, and how it is to go on.

    Attributes:
      messages: as of `data/chat.py`, {"type": "image"} where a picture is.
      pictures: encoded, in the order of the messages.
      think: ask what was said last as a question to be thought about.
      n: how many answers.
      logprobs: how many other tokens are told beside each, None for nothing.
    """

    messages: Sequence[Any]
    pictures: Sequence[bytes] = ()
    think: bool = False
    n: int = 1
    max_tokens: int = 256
    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    seed: int = 0
    stop: tuple[str, ...] = ()
    logprobs: int | None = None


class Scored(Protocol):
    """A token and its natural log-probability, as of `inference/results.py`."""

    text: str
    log_probability: float
    others: Sequence["Scored"]


class Piece(Protocol):
    """Some more of an answer: its words, and a `Scored` for each token if asked for."""

    text: str
    logprobs: Sequence[Scored] | None


class Answer(Protocol):
    """A whole answer, as of `inference/results.py`; `finish` is "stop" or "length"."""

    text: str
    tokens: Sequence[int]
    finish: str
    prompt_tokens: int
    reused: int


class Reply(Protocol):
    """An answer that is being written."""

    def __iter__(self) -> Iterator[Piece]: ...

    def result(self) -> Answer: ...

    def cancel(self) -> None: ...


@dataclasses.dataclass(frozen=True)
class Wish:
    """What is to be drawn, or, with a picture, edited.

    Attributes:
      picture: encoded; None to draw.
      size: (height, width), "source" for the aspect ratio of the picture, or None for
        the model's own.
      choices: further settings of `inference/settings.py`.
    """

    prompt: str
    picture: bytes | None = None
    n: int = 1
    size: Size = None
    choices: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Drawn:
    """Pictures uint8 [n, H, W, 3] and the caption that they were drawn from."""

    images: np.ndarray
    caption: str
    note: str = ""


class Backend(Protocol):
    """See above.

    Attributes:
      tasks: those of `TASKS` that the model can do.
      size: (height, width) that it draws unless told otherwise.
    """

    tasks: frozenset[str]
    size: tuple[int, int]

    def chat(self, ask: Ask) -> list[Reply]:
        """`n` replies that have begun."""

    def draw(self, wish: Wish, show: Show, every: int) -> Drawn:
        """Draw or edit; `show` is called after every so many steps."""

    def embed(
        self, texts: Sequence[str], pictures: Sequence[bytes]
    ) -> tuple[int, np.ndarray]:
        """Tokens of the texts; float32 [N, E] of the texts and then the pictures."""

    def close(self) -> None:
        """Let go of what runs."""
