"""What a program has written, as an answer: tokens, their text, their chances."""

from collections.abc import Mapping, Sequence

import numpy as np

from bridge_jax.data.tokens import Tokenizer
from bridge_jax.inference.answering.choosing import Choice
from bridge_jax.inference.answering.speech import Speech
from bridge_jax.inference.results import Answer, Scored

Told = Mapping[str, np.ndarray]  # of one row, see `choosing.told`


def answer(
    tokenizer: Tokenizer,
    row: np.ndarray,
    stops: tuple[int, ...],
    choice: Choice,
    told: Told | None = None,
    prompt_tokens: int = 0,
) -> Answer:
    """The answer that tokens are: up to the first that ends it, or a stop string.

    Args:
      row: int32, what was written.
      stops: ids that end an answer.
      told: own, top and tops of each token, where `choice.logprobs` is not None.
    """
    ends = np.flatnonzero(np.isin(row, stops))
    tokens, finished = (row[: ends[0]] if len(ends) else row), bool(len(ends))
    if choice.stop:
        speech = Speech(tokenizer, choice.stop)
        speech.hear(tokens.tolist())
        speech.end()
        text, kept = speech.kept()
        tokens, finished = tokens[: len(kept)], finished or speech.stopped
    else:
        text = tokenizer.decode(tokens).strip()
    logprobs = None
    if choice.logprobs is not None:
        logprobs = tuple(scored(tokenizer, tokens, told, choice.logprobs))
    return Answer(
        text, tokens, finished, logprobs=logprobs, prompt_tokens=prompt_tokens
    )


def scored(
    tokenizer: Tokenizer, tokens: Sequence[int], told: Told, count: int
) -> list[Scored]:
    """Each token's log-probability, with so many alternatives."""

    def one(token: int, chance: float, others: tuple[Scored, ...] = ()) -> Scored:
        text = tokenizer.decode([token], skip_special=False)
        return Scored(int(token), text, float(chance), others)

    return [
        one(
            token,
            told["own"][i],
            tuple(map(one, told["top"][i][:count], told["tops"][i][:count])),
        )
        for i, token in enumerate(tokens)
    ]
