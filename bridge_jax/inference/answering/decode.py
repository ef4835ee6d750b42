"""Conversations to answers: left-padded batches, one cache, one loop on the device.

B rows, T prompt positions, A answer slots.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Int

from bridge_jax.core import log
from bridge_jax.core.errors import BridgeError
from bridge_jax.core.types import Array, Params
from bridge_jax.data import chat, patches
from bridge_jax.inference import batching
from bridge_jax.inference.answering import choosing, reading
from bridge_jax.inference.answering.choosing import Choice
from bridge_jax.inference.engine import Engine
from bridge_jax.inference.inputs import Picture
from bridge_jax.inference.results import Answer
from bridge_jax.layers import kv_cache as kv
from bridge_jax.models import bundle as bundle_lib
from bridge_jax.models import view as view_lib

PATCHES = ("patches", "coordinates", "patch_segments")  # what a tower is shown
SLOTS = 64  # answer slots are multiples of this; unused ones cost no step


@dataclasses.dataclass(frozen=True)
class Conversation:
    """A rendered prompt, ending with the assistant's opened turn, and its pictures."""

    row: chat.Row
    pictures: tuple[Picture, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """(patches, tokens)."""
        return sum(picture.size for picture in self.pictures), len(self.row.tokens)


# `answers`, and `continuous.answers`, which gives the same.
Answers = Callable[..., list[Answer]]


def answers(
    engine: Engine,
    params: Params,
    conversations: Sequence[Conversation],
    choice: Choice,
    numbers: np.ndarray,
    description: str = "answering",
) -> list[Answer]:
    """The answer to each conversation; `numbers` [N] as from `batching.numbers`.

    Raises:
      BridgeError: every conversation that leaves no room for its answer.
    """
    check(engine, conversations, choice)
    stops, given = common(engine, choice)
    order = batching.by_size([one.size for one in conversations])
    found: dict[int, Answer] = {}
    chunks = batching.chunks(order, engine.limits.rows, engine.parts)
    program = answer if choice.logprobs is None else answer_told
    for chunk in log.progress(chunks, description):
        batch = prepare(engine, [conversations[i] for i in chunk.indices])
        batch["numbers"] = numbers[list(chunk.indices)]
        if not choice.greedy:
            batch["rules"] = choosing.rules([choice] * len(chunk.indices))
        written = engine.run(
            program,
            params,
            batch,
            given,
            slots=batching.length_bucket(choice.max_new_tokens, SLOTS),
            greedy=choice.greedy,
        )
        written = jax.tree.map(np.asarray, written)
        if program is answer:
            written = {"tokens": written}
        for at, i in enumerate(chunk.real):
            row = {k: v[at, : choice.max_new_tokens] for k, v in written.items()}
            size = len(conversations[i].row.tokens)
            found[i] = reading.answer(
                engine.processor.llm, row["tokens"], stops, choice, row, size
            )
    return [found[i] for i in range(len(conversations))]


def check(
    engine: Engine, conversations: Sequence[Conversation], choice: Choice
) -> None:
    """Raises BridgeError for what cannot be answered, all at once."""
    choosing.check(choice, engine.limits.max_context)
    if any(one.pictures for one in conversations):
        engine.need_eyes()
    sizes = [len(one.row.tokens) for one in conversations]
    check_context(sizes, choice.max_new_tokens, engine.limits.max_context)


def common(engine: Engine, choice: Choice) -> tuple[tuple[int, ...], dict[str, Any]]:
    """Ids that end an answer, and what every row of a program reads."""
    tokenizer = engine.processor.llm
    ends = [
        name for name in engine.processor.template.ends if tokenizer.has_token(name)
    ]
    stops = tuple(tokenizer.token_id(name) for name in ends)
    return stops, {
        "limit": np.int32(choice.max_new_tokens),
        "stops": np.asarray(stops, np.int32),
    }


def ended(token: Int[Array, " B"], stops: Int[Array, " S"]) -> Bool[Array, " B"]:
    """Which tokens [B] end an answer, bool [B]."""
    return (token[:, None] == stops[None]).any(axis=1)


def prepare(
    engine: Engine, conversations: Sequence[Conversation], length: int | None = None
) -> dict[str, Any]:
    """Batch of `answer`, but for its numbers, padded to buckets of shapes.

    Args:
      length: T; the next bucket that holds the longest, unless it is given.
    """
    processor, merge = engine.processor, engine.processor.config.merge
    count, longest = (max(column) for column in zip(*(c.size for c in conversations)))
    fields = chat.pad_batch(
        [one.row for one in conversations],
        length or batching.length_bucket(longest),
        processor.llm.pad_id or 0,
        merge,
        side="left",
        rule=processor.rule,
    )
    vlm = {name: fields[name] for name in ("tokens", "segments")}
    vlm["positions"] = np.moveaxis(fields["positions"], 0, 1)
    if count:
        packed = patches.pack(
            [[picture.patches() for picture in one.pictures] for one in conversations],
            batching.power_bucket(count, processor.layout.unit),
            processor.patch_width,
            merge,
        )
        vlm |= dict(zip(PATCHES, packed, strict=True))
        vlm["image_index"] = fields["image_index"]
    return {"vlm": vlm, "deltas": fields["deltas"]}


def answer(
    bundle: bundle_lib.Bundle,
    params: Params,
    batch: dict[str, Any],
    shared: dict[str, jax.Array],
    *,
    slots: int,
    greedy: bool,
) -> jax.Array:
    """Program: prefill, then a token a turn until every row has stopped.

    Args:
      batch: vlm {...} padded on the left, deltas [B], numbers [B]; unless all rows are
        greedy, their rules {...} (`choosing.rules`).
      shared: limit (at most `slots`), a scalar; stops [n], ids.

    Returns:
      int32 [B, slots]; what follows a row's stop is the first of `stops`.
    """
    return _written(bundle, params, batch, shared, slots, greedy, False)["tokens"]


def answer_told(
    bundle: bundle_lib.Bundle,
    params: Params,
    batch: dict[str, Any],
    shared: dict[str, jax.Array],
    *,
    slots: int,
    greedy: bool,
) -> dict[str, jax.Array]:
    """Program: as `answer`, with what `choosing.told` says of each token.

    Returns:
      tokens [B, slots]; own, top and tops [B, slots, ...], which mean nothing after a
      row's stop.
    """
    return _written(bundle, params, batch, shared, slots, greedy, True)


def _written(bundle, params, batch, shared, slots, greedy, told) -> dict[str, Any]:
    stops, rules = shared["stops"], None if greedy else batch["rules"]

    def choose(hidden: jax.Array, turn: jax.Array | int, seen: Any) -> dict[str, Any]:
        """What is said after `hidden` [B, 1, D]."""
        scores = bundle.apply("vlm", params, hidden, method="logits")[:, 0]
        token = choosing.pick(scores, rules, seen, batch["numbers"], turn)
        return {"tokens": token} | (choosing.told(scores, token) if told else {})

    def unfinished(state: tuple) -> jax.Array:
        turn, _, _, done, _, _ = state
        return (turn < shared["limit"]) & ~done.all()

    def advance(state: tuple) -> tuple:
        turn, written, last, done, carried, seen = state
        cache = kv.unfolded(carried)
        hidden, out = bundle.apply(
            "vlm",
            params,
            last[:, None],
            kv.next_positions(cache, batch["deltas"]),
            (~done)[:, None].astype(jnp.int32),
            cache=cache,
        )
        said = choose(hidden, turn, seen)
        token = said["tokens"] = jnp.where(done, stops[0], said["tokens"])
        written = {
            name: jax.lax.dynamic_update_slice_in_dim(
                written[name], said[name][:, None], turn, 1
            )
            for name in written
        }
        done, cache = done | ended(token, stops), kv.folded(out["cache"])
        return turn + 1, written, token, done, cache, choosing.remember(seen, token)

    fields = view_lib.as_called(batch["vlm"])
    rows, length = fields["tokens"].shape
    config = bundle["vlm"].config
    cache = kv.empty(config, rows, length + slots)
    hidden, out = bundle.apply("vlm", params, **fields, cache=cache, at=last(fields))
    seen = None
    if rules is not None:
        seen = choosing.prompt_tokens(
            fields["tokens"], fields["segments"], config.vocab_size
        )
    said = choose(hidden, 0, seen)
    first = said["tokens"]
    room = {"tokens": jnp.full((rows, slots), stops[0], jnp.int32)}
    if told:
        room |= choosing.untold(rows, slots, config.vocab_size)
    written = {name: jnp.asarray(room[name]).at[:, 0].set(said[name]) for name in room}
    done, cache = ended(first, stops), kv.folded(out["cache"])
    seen = choosing.remember(seen, first)
    start = jnp.int32(1), written, first, done, cache, seen
    return jax.lax.while_loop(unfinished, advance, start)[1]


def last(fields: dict[str, Any]) -> Int[Array, "B 1"]:
    """Where prompts padded on the left end, for a model that is asked `at` there."""
    rows, length = fields["tokens"].shape
    return jnp.full((rows, 1), length - 1, jnp.int32)


def check_context(sizes: Sequence[int], new: int, context: int) -> None:
    """Raises BridgeError for prompts (in tokens) that leave no room for the answer."""
    long = [
        f"request {i} has {size:,}"
        for i, size in enumerate(sizes)
        if size > context - new
    ]
    if long:
        raise BridgeError(
            f"too long for a context of {context} tokens, of which "
            f"{new} are kept for the answer: {'; '.join(long[:5])}; shorten the text "
            "or use smaller or fewer pictures"
        )
