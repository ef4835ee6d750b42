"""Qwen2-VL, with one picture a row, against transformers.

prefill   pictures and questions to the scores of the next token, cache and all
decode    the same and NEW tokens after it, one row or eight
train     a step of next-token prediction on all text, all parameters
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from bridge_jax.bench.side_by_side.case import SMALL, Case, Side, Task
from bridge_jax.data import mrope, patches
from bridge_jax.models.qwen2_vl.config import SIZES as PUBLISHED
from bridge_jax.models.qwen2_vl.config import Config, VisionConfig

NEW = 64
SIZES = {
    "tiny": PUBLISHED["tiny"],
    "small": dataclasses.replace(
        PUBLISHED["tiny"],
        vocab_size=8192,
        hidden_size=384,
        layers=8,
        heads=6,
        kv_heads=2,
        head_dim=64,
        mrope_sections=(8, 12, 12),
        ffn_size=1536,
        vision=VisionConfig(depth=4, dim=256, heads=4),
    ),
    "medium": dataclasses.replace(
        PUBLISHED["tiny"],
        vocab_size=16384,
        hidden_size=768,
        layers=14,
        heads=12,
        kv_heads=4,
        head_dim=64,
        mrope_sections=(8, 12, 12),
        ffn_size=3072,
        vision=VisionConfig(depth=8, dim=384, heads=6),
    ),
    "2b": PUBLISHED["2b"],
    "7b": PUBLISHED["7b"],
}
# A row: a picture of so many patches, and text after it.
SHAPES = {"tiny": ((8, 8), 48), "small": ((16, 16), 192), "medium": ((16, 16), 192)}
LARGE = ((32, 32), 768)
ROWS = {"prefill": 4, "train": 4, "decode_1": 1, "decode_8": 8}


@dataclasses.dataclass(frozen=True)
class Given:
    """What both sides read, in transformers' names: of B rows alike.

    Attributes:
      tokens: int64 [B, T].
      pixels: float32 [B * P, patch_dim].
      grid: (1, rows, columns) in patches, of every picture.
    """

    tokens: np.ndarray
    pixels: np.ndarray
    grid: tuple[int, int, int]


def given(config: Config, size: str, rows: int) -> Given:
    (height, width), length = SHAPES.get(size, LARGE)
    rng = np.random.default_rng(0)
    count = height * width
    visual = count // config.vision.merge**2
    text = rng.integers(10, config.vocab_size - 10, (rows, length))
    if config.image_pad > 10:  # published ids stand at the end
        text = np.minimum(text, config.pad - 1)
    shown = np.full((rows, visual), config.image_pad)
    starts, ends = (
        np.full((rows, 1), one) for one in (config.vision_start, config.vision_end)
    )
    tokens = np.concatenate([starts, shown, ends, text], axis=1)
    pixels = rng.standard_normal((rows * count, config.vision.patch_dim), np.float32)
    return Given(tokens, pixels, (1, height, width))


def _ours(task: Task, rows: int) -> tuple[Any, Any, Config, dict[str, Any], Any]:
    from bridge_jax.bench.side_by_side import ours

    bundle, params = ours.load(task, "qwen2_vl")
    config = bundle["vlm"].config
    return bundle, params, config, *fields(given(config, task.size, rows), config)


def fields(what: Given, config: Config) -> tuple[dict[str, Any], np.ndarray]:
    """The same as fields of our model, and deltas [B] for decoding."""
    rows, merge = len(what.tokens), config.vision.merge
    visual = what.tokens == config.image_pad
    segments = np.ones(what.tokens.shape, np.int32)
    grids = [[what.grid]] * rows
    positions, deltas = mrope.batch_positions(visual, segments, grids, merge)
    count = np.prod(what.grid)
    shown = [[(one, what.grid)] for one in np.split(what.pixels, rows)]
    packed = patches.pack(shown, count, config.vision.patch_dim, merge)
    names = ("patches", "coordinates", "patch_segments")
    made = {
        "tokens": what.tokens.astype(np.int32),
        "positions": np.moveaxis(positions, 0, 1),
        "segments": segments,
        "image_index": mrope.image_index(visual),
    } | dict(zip(names, packed, strict=True))
    return made, deltas


def _prefilled(task: Task) -> Side:
    bundle, params, config, fields, _ = _ours(task, ROWS["prefill"])
    run = _scoring(bundle, params, config, fields)
    return Side(run, lambda out: {"scores": np.asarray(out[0])})


def _scoring(bundle: Any, params: Any, config: Config, fields: dict[str, Any]):
    """A program that gives scores [B, 1, V] of the next token, and the cache."""
    from bridge_jax.bench.side_by_side import ours
    from bridge_jax.inference.answering import decode
    from bridge_jax.layers import kv_cache
    from bridge_jax.models import view

    def scores(params, fields):
        fields = view.as_called(fields)
        room = kv_cache.empty(config, *fields["tokens"].shape)
        at = decode.last(fields)
        hidden, out = bundle.apply("vlm", params, **fields, cache=room, at=at)
        last = bundle.apply("vlm", params, hidden, method="logits")
        return last, out["cache"]

    return ours.program(scores, params, fields)


def _decoded(rows: int):
    def make(task: Task) -> Side:
        from bridge_jax.bench.side_by_side import ours
        from bridge_jax.inference.answering import decode

        bundle, params, config, fields, deltas = _ours(task, rows)
        batch = {"vlm": fields, "deltas": deltas, "numbers": np.arange(rows)}
        shared = {"limit": np.int32(NEW), "stops": np.array([-1], np.int32)}

        def answer(params, batch, shared):
            return decode.answer(bundle, params, batch, shared, slots=NEW, greedy=True)

        def score():
            return np.asarray(_scoring(bundle, params, config, fields)()[0])

        run = ours.program(answer, params, batch, shared)
        return Side(run, lambda out: _chosen(task, np.asarray(out), score))

    return make


def _trained(task: Task) -> Side:
    from bridge_jax.bench.side_by_side import ours
    from bridge_jax.core import rng
    from bridge_jax.models import view
    from bridge_jax.objectives import sft

    bundle, params, config, fields, _ = _ours(task, ROWS["train"])
    batch = {"vlm": fields, "loss_mask": _is_text(fields["tokens"], config)}
    said = batch["loss_mask"].sum(axis=1)  # alike in all rows
    objective = sft.Objective(learnt=int(said.max()))

    def loss(params, batch):
        return objective(
            view.View(bundle, params, batch, rngs=rng.Streams(0, 0), step=0)
        )

    return ours.train(params, batch, loss)


def _is_text(tokens: np.ndarray, config: Config) -> np.ndarray:
    return tokens != config.image_pad


def _theirs(task: Task, rows: int):
    from bridge_jax.bench.side_by_side.peers import qwen2_vl, sides

    config = SIZES[task.size]
    what = given(config, task.size, rows)
    model = sides.made(task, lambda: qwen2_vl.make(config))
    return model, config, sides.given(task, feed(what, config))


def feed(what: Given, config: Config) -> dict[str, np.ndarray]:
    """The same as their model's arguments."""
    return {
        "input_ids": what.tokens,
        "attention_mask": np.ones_like(what.tokens),
        "mm_token_type_ids": (what.tokens == config.image_pad).astype(np.int32),
        "pixel_values": what.pixels,
        "image_grid_thw": np.array([what.grid] * len(what.tokens)),
    }


def _they_prefill(task: Task) -> Side:
    from bridge_jax.bench.side_by_side.peers import sides

    model, _, feed = _theirs(task, ROWS["prefill"])
    side = sides.forward(
        task, lambda: model(**feed, use_cache=True, logits_to_keep=1).logits
    )
    return Side(side.run, lambda out: {"scores": sides.array(out)})


def _they_decode(rows: int):
    def make(task: Task) -> Side:
        from bridge_jax.bench.side_by_side.peers import sides

        model, _, feed = _theirs(task, rows)
        if task.compiled:
            model.forward = sides.compiled(task, model.forward)
        told = dict(max_new_tokens=NEW, min_new_tokens=NEW, do_sample=False)
        side = sides.forward(
            dataclasses.replace(task, compiled=False),
            lambda: model.generate(**feed, **told, pad_token_id=0, eos_token_id=None)[
                :, -NEW:
            ],
        )
        score = sides.forward(
            dataclasses.replace(task, compiled=False),
            lambda: model(**feed, logits_to_keep=1).logits,
        )
        return Side(
            side.run,
            lambda out: _chosen(
                task, out.cpu().numpy(), lambda: sides.array(score.run())
            ),
        )

    return make


def _they_train(task: Task) -> Side:
    from bridge_jax.bench.side_by_side.peers import sides

    model, config, feed = _theirs(task, ROWS["train"])
    tokens = feed["input_ids"]
    labels = tokens.masked_fill(tokens == config.image_pad, -100)
    return sides.train(task, model, lambda: model(**feed, labels=labels).loss)


def _chosen(
    task: Task, tokens: np.ndarray, score: Callable[[], np.ndarray]
) -> dict[str, np.ndarray]:
    """What both sides must agree on: all tokens; in half precision how they score.

    Half precision rounds scores that are almost alike to a tie, which each side breaks
    as it likes, and goes on elsewhere. So it is the scores of the first token [B, V],
    and by how much the one that was chosen falls short of the best of them.
    """
    if task.dtype == "float32":
        return {"tokens": tokens}
    scores = score().astype(np.float32).squeeze(1)
    taken = np.take_along_axis(scores, tokens[:, :1], axis=1)
    return {"scores": scores, "short": scores.max(axis=1, keepdims=True) - taken}


def _tokens(rows: int, new: int = 0):
    def count(size: str) -> int:
        what = given(SIZES[size], size, 1)
        return rows * (new or what.tokens.shape[1])

    return count


_ONE_CARD = (*SMALL, "2b", "7b")  # weights and cache fit
_decoding = dict(unit="token", wanted=2, sizes=_ONE_CARD)
CASES = {
    "prefill": Case(
        _prefilled,
        _they_prefill,
        _tokens(ROWS["prefill"]),
        "token",
        sizes=_ONE_CARD,
    ),
    "train": Case(
        _trained,
        _they_train,
        _tokens(ROWS["train"]),
        "token",
        sizes=(*SMALL, "2b"),
    ),
    "decode_1": Case(_decoded(1), _they_decode(1), _tokens(1, NEW), **_decoding),
    "decode_8": Case(_decoded(8), _they_decode(8), _tokens(8, NEW), **_decoding),
}
