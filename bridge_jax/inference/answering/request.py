"""What somebody asked, and the answer as far as it was heard."""

import collections
from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np

from bridge_jax.data import chat
from bridge_jax.data.tokens import Tokenizer
from bridge_jax.inference import inputs
from bridge_jax.inference.answering import reading
from bridge_jax.inference.answering.choosing import Choice
from bridge_jax.inference.answering.reply import Failed, Piece, Reply
from bridge_jax.inference.answering.speech import Speech
from bridge_jax.inference.results import Answer


class Request:
    """A conversation, and what its reply says of the tokens that come.

    One thread hears them; any may wait for the reply.

    Attributes:
      looks: message -> the request that looks at its pictures first.
      number: which random numbers it draws; None for those that depend on what is
        asked.
      prompt_tokens, reused: tokens of the prompt, and how many of them were remembered.

    Args:
      wake: called when the answer is no longer wanted.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        messages: Sequence[chat.Message],
        pictures: Sequence[inputs.Picture],
        choice: Choice,
        wake: Callable[[], None],
    ):
        self.messages, self.pictures, self.choice = messages, pictures, choice
        self.reply = Reply(wake)
        self.looks: dict[int, Self] = {}
        self.number: int | None = None
        self.prompt_tokens = self.reused = 0
        self._tokenizer = tokenizer
        self._speech = Speech(tokenizer, choice.stop)
        self._heard: dict[str, list[Any]] = collections.defaultdict(list)
        self._told = 0  # tokens that the reply has said

    @property
    def ready(self) -> bool:
        """Whether all that is to be looked at first has been."""
        return all(look.reply.done for look in self.looks.values())

    @property
    def stopped(self) -> bool:
        """Whether a stop string was heard."""
        return self._speech.stopped

    def hear(self, tokens: np.ndarray, told: reading.Told) -> None:
        """More tokens; what is certain by now of their text is said.

        Args:
          told: of each token, and maybe more: see `choosing.told`.
        """
        if self.choice.logprobs is not None:
            for name, some in told.items():
                self._heard[name].extend(some[: len(tokens)])
        self._say(*self._speech.hear(tokens.tolist()))

    def end(self, *, stopped: bool = False, cancelled: bool = False) -> None:
        """No more tokens: the reply has its answer."""
        try:
            self.reply.end(self._answer(stopped, cancelled))
        except Exception as error:  # noqa: BLE001 - nobody waits for ever
            self.fail(error)

    def fail(self, error: Exception) -> None:
        """A step of the model failed, and there is no answer."""
        first = (str(error).strip().splitlines() or [""])[0]
        made = Failed(f"a step of the model failed: {type(error).__name__}: {first}")
        made.__cause__ = error
        self.reply.fail(made)

    def _answer(self, stopped: bool, cancelled: bool) -> Answer:
        self._say(*self._speech.end())
        text, tokens = self._speech.kept()
        logprobs = self._scored(0, tokens)
        return Answer(
            text,
            np.asarray(tokens, np.int32),
            finished=stopped or self.stopped,
            cancelled=cancelled,
            logprobs=None if logprobs is None else tuple(logprobs),
            prompt_tokens=self.prompt_tokens,
            reused=self.reused,
        )

    def _say(self, text: str, tokens: tuple[int, ...]) -> None:
        if text or tokens:
            logprobs = self._scored(self._told, tokens)
            self._told += len(tokens)
            self.reply.say(Piece(text, tokens, logprobs))

    def _scored(self, start: int, tokens: Sequence[int]) -> list[Any] | None:
        count = self.choice.logprobs
        if count is None:
            return None
        heard = {name: some[start:] for name, some in self._heard.items()}
        return reading.scored(self._tokenizer, tokens, heard, count)
