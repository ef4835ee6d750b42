"""How likely the model finds words that are given: log-probabilities of their tokens.

Words alone count: neither the marks around a turn nor the one that ends it. B rows,
T positions.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bridge_jax.core import log
from bridge_jax.core.types import Params
from bridge_jax.data import chat, templates, tokens
from bridge_jax.inference import batching, inputs
from bridge_jax.inference.answering import decode, looking
from bridge_jax.inference.engine import Engine
from bridge_jax.inference.inputs import Picture
from bridge_jax.inference.results import Likelihood
from bridge_jax.models import bundle as bundle_lib
from bridge_jax.models import view as view_lib

_BLOCK = batching.TOKENS  # positions whose scores over the vocabulary exist at once
Seen = tuple[Picture, ...]


def of_answers(
    engine: Engine,
    params: Params,
    seen: Sequence[Seen],
    prompts: Sequence[str],
    answers: Sequence[str],
) -> list[Likelihood]:
    """Of each answer to its prompt, asked as `model.Model.chat` asks it."""
    opened = looking.conversations(engine, params, seen, prompts)
    rows = []
    for one, answer in zip(opened, answers, strict=True):
        said = _words(engine.processor.llm.encode_text(answer), 0)
        asked = chat.follow([one.row, said])
        asked.response[: len(one.row.tokens)] = False  # what was said while looking
        rows.append(decode.Conversation(asked, one.pictures))
    return _likelihoods(engine, params, rows, "answer")


def of_descriptions(
    engine: Engine,
    params: Params,
    pictures: Sequence[Picture],
    captions: Sequence[str],
) -> list[Likelihood]:
    """Of each caption as what the model says when it is asked what a picture shows."""
    rows = described(engine, pictures, captions)
    return _likelihoods(engine, params, rows, "caption")


def described(
    engine: Engine, pictures: Sequence[Picture], captions: Sequence[str]
) -> list[decode.Conversation]:
    """Pictures whose description is asked for, and given."""
    wish, rows = engine.processor.words.describe, []
    for picture, caption in zip(pictures, captions, strict=True):
        asked = looking.conversation(engine, (picture,), wish)
        said = _words(engine.processor.llm.encode_text(caption), 0)
        rows.append(decode.Conversation(chat.follow([asked.row, said]), asked.pictures))
    return rows


def of_replies(
    engine: Engine,
    params: Params,
    seen: Sequence[Seen],
    conversations: Sequence[Sequence[chat.Message]],
) -> list[Likelihood]:
    """Of all that the assistant says in each conversation, as messages of `chat`."""
    processor, rows = engine.processor, []
    end = processor.llm.token_id(processor.template.stop)
    for messages, pictures in zip(conversations, seen, strict=True):
        row = processor.render(messages, [picture.grid for picture in pictures])
        row.response[row.tokens == end] = False
        rows.append(decode.Conversation(row, pictures))
    return _likelihoods(engine, params, rows, "conversation")


def of_documents(
    engine: Engine, params: Params, texts: Sequence[str]
) -> list[Likelihood]:
    """Of each text without template or roles.

    What begins a text for the model (`Template.begin`, or Qwen's <|endoftext|>) stands
    before it, if the tokenizer has that, so that its first token is predicted too. What
    is longer than the context is read in windows that overlap by half: each token
    counts once, with half a context before it at least.
    """
    tokenizer, most = engine.processor.llm, engine.limits.max_context
    rows, owners = [], []
    for number, text in enumerate(texts):
        ids = [
            *_start(tokenizer, engine.processor.template),
            *tokenizer.encode_text(text),
        ]
        for start, stop, first in windows(len(ids), most):
            row = _words(ids[start:stop], first - start)
            rows.append(decode.Conversation(row))
            owners.append(number)
    totals, counts = np.zeros(len(texts)), np.zeros(len(texts), int)
    found = _likelihoods(engine, params, rows, "text")
    for owner, (total, count) in zip(owners, found, strict=True):
        totals[owner] += total
        counts[owner] += count
    return [Likelihood(float(t), int(n)) for t, n in zip(totals, counts, strict=True)]


def windows(length: int, most: int) -> Iterator[tuple[int, int, int]]:
    """(start, stop, first that counts) of windows of at most `most` tokens.

    Tokens 1 to `length` - 1 count once each; nothing comes before token 0.
    """
    start, first = 0, 1
    while first < length:
        stop = min(start + most, length)
        yield start, stop, first
        start, first = stop - most // 2, stop


def log_probabilities(
    bundle: bundle_lib.Bundle,
    params: Params,
    batch: Mapping[str, Any],
    shared: Mapping[str, Any],
) -> jax.Array:
    """Program: log p of each token given those before it, 0 where it does not count.

    Args:
      batch: vlm {...} as from `decode.prepare`; counted [B, C] bool, of the last C
        of T tokens.

    Returns:
      float32 [B, C].
    """
    del shared
    fields = view_lib.as_called(batch["vlm"])
    rows, length = fields["tokens"].shape
    counted = batch["counted"].shape[1]
    # A position's state foretells the token after it; before the first nothing stands.
    at = jnp.maximum(jnp.arange(length - counted, length) - 1, 0)
    at = jnp.broadcast_to(at, (rows, counted))
    hidden, _ = bundle.apply("vlm", params, **fields, at=at)
    blocks, width = counted // _BLOCK, hidden.shape[-1]

    def of_block(block: tuple[jax.Array, jax.Array]) -> jax.Array:
        states, said = block
        scores = bundle.apply("vlm", params, states, method="logits")
        log_p = jax.nn.log_softmax(scores.astype(jnp.float32), axis=-1)
        return jnp.take_along_axis(log_p, said[..., None], axis=-1)[..., 0]

    said = fields["tokens"][:, length - counted :].reshape(rows, blocks, _BLOCK)
    hidden = hidden.reshape(rows, blocks, _BLOCK, width)
    split = jnp.moveaxis(hidden, 1, 0), jnp.moveaxis(said, 1, 0)
    found = jnp.moveaxis(jax.lax.map(of_block, split), 0, 1).reshape(rows, counted)
    return jnp.where(batch["counted"], found, 0.0)


def _likelihoods(
    engine: Engine, params: Params, rows: Sequence[decode.Conversation], what: str
) -> list[Likelihood]:
    inputs.within(
        [len(one.row.tokens) for one in rows], engine.limits.max_context, what
    )
    order = batching.by_size([one.size for one in rows])
    found: dict[int, Likelihood] = {}
    chunks = batching.chunks(order, engine.limits.rows, engine.parts)
    for chunk in log.progress(chunks, "reading"):
        chosen = [rows[i] for i in chunk.indices]
        batch = decode.prepare(engine, chosen)
        batch["counted"] = _counted(chosen, batch["vlm"]["tokens"].shape[1])
        made = np.asarray(engine.run(log_probabilities, params, batch, {}), np.float64)
        for i, log_p, counted in zip(chunk.real, made, batch["counted"], strict=False):
            found[i] = Likelihood(float(log_p.sum()), int(counted.sum()))
    return [found[i] for i in range(len(rows))]


def _counted(rows: Sequence[decode.Conversation], length: int) -> np.ndarray:
    """bool [B, C], of the last C of `length` tokens, padded on the left.

    As `decode.prepare` pads; C is a bucket that all that counts is in.
    """
    counted = np.zeros((len(rows), length), bool)
    for row, one in zip(counted, rows, strict=True):
        row[length - len(one.row.response) :] = one.row.response
    nothing = int(np.argmax(counted.any(axis=0)))
    return counted[:, -batching.length_bucket(length - nothing) :]


def _words(ids: Sequence[int], first: int) -> chat.Row:
    """Tokens alone, of which those from `first` on count."""
    nothing = np.zeros(len(ids), bool)
    counted = np.arange(len(ids)) >= first
    return chat.Row(np.asarray(ids, np.int32), counted, nothing, nothing)


def _start(tokenizer: tokens.Tokenizer, template: templates.Template) -> list[int]:
    name = template.begin or template.end_of_text
    return [tokenizer.token_id(name)] if tokenizer.has_token(name) else []
