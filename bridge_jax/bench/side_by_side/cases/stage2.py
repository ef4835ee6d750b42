"""A step of OmniBridge's stage 2 against the way its reference computes one.

The objective is the semantic one, at a replacement ratio of 1 and without dropout;
projector and aligner train. The other side is no one's code: it re-enacts the algorithm
on transformers, from its description. Sample by sample, at a batch of 1, the LLM
decodes the caption a token at a time, each token's last state is kept, mT5 reads the
caption and the aligner runs; then one loss, backward, AdamW. How often the reference
runs its aligner for a sample, its description leaves open: here it is once, the least.

Ours is our training step. Captions are decoded before it is timed, as `bridge cache
build` does; theirs decodes the same ones in every step.

step          finds the captions in the cache: the states come out of one pass over
              prompts and captions; mT5 and the aligner see the batch at once
step_cached   finds there, too, what the frozen LLM and mT5 make of them
"""

import dataclasses
from typing import Any

import numpy as np

from bridge_jax.bench.side_by_side.case import Case, Side, Task
from bridge_jax.bench.side_by_side.cases import qwen2_vl
from bridge_jax.models.bitransformer.config import SIZES as ALIGNERS
from bridge_jax.models.bitransformer.config import Config as AlignerConfig
from bridge_jax.models.mt5.config import SIZES as MT5
from bridge_jax.models.retrieval.config import SIZES as HEADS
from bridge_jax.models.retrieval.config import Config as HeadsConfig

ROWS, PROMPT = 48, 40  # rows as in the shipped recipe
NEW = 32  # tokens decoded for a caption, the marks around it among them
_LOUDER = 25.0  # words in half precision: none score alike
TRAINABLE = ((r"(projector|aligner)/.*", True), (r".*", False))


# As published, each has a fifth or so of the LLM's weights.
_MT5 = {
    "tiny": MT5["tiny"],
    "small": dataclasses.replace(
        MT5["tiny"],
        layers=7,
        d_model=224,
        heads=7,
        d_kv=32,
        d_ff=560,
        vocab=8192,
        length=128,
    ),
    "medium": dataclasses.replace(
        MT5["tiny"],
        layers=12,
        d_model=448,
        heads=7,
        d_kv=64,
        d_ff=1120,
        vocab=16384,
        length=256,
    ),
}


def _aligner(size: str, cross_layers: tuple[int, ...]) -> AlignerConfig:
    """As mT5 is at that size, with a learned query for each of its positions."""
    c = _MT5[size]
    shared = ("layers", "d_model", "heads", "d_kv", "d_ff")
    sizes = {name: getattr(c, name) for name in shared}
    return AlignerConfig(**sizes, cross_layers=cross_layers, queries=c.length)


_ALIGNERS = {
    "tiny": ALIGNERS["tiny"],
    "small": _aligner("small", (0, 2, 4)),
    "medium": _aligner("medium", (0, 2, 4, 8)),
}
_HEADS = {
    "tiny": HEADS["tiny"],
    "small": HeadsConfig(
        d_model=224, out=128, pool_heads=7, image_queries=32, text_queries=24
    ),
    "medium": HeadsConfig(
        d_model=448, out=256, pool_heads=7, image_queries=64, text_queries=48
    ),
}


def prompts(size: str) -> np.ndarray:
    """Int64 [ROWS, PROMPT], no pictures among them."""
    vocab = qwen2_vl.SIZES[size].vocab_size
    return np.random.default_rng(0).integers(10, vocab - 10, (ROWS, PROMPT))


def _caption() -> slice:
    """Of NEW tokens: a mark stands before it, a mark and the end after it."""
    return slice(1, NEW - 2)


def _retold(size: str, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Captions among the LLM's tokens [B, NEW] as tokens and mask of mT5, [B, Q]."""
    vocab, length = _MT5[size].vocab, _ALIGNERS[size].queries
    words = 3 + tokens[:, _caption()] % (vocab - 3)
    words = np.pad(words, ((0, 0), (0, 1)), constant_values=1)  # ends in </s>
    room = ((0, 0), (0, length - words.shape[1]))
    return np.pad(words, room), np.pad(np.ones_like(words), room)


def load(task: Task, *others: str) -> tuple[Any, Any]:
    """OmniBridge, without dropout, and `others` beside it: bundle and parameters."""
    from bridge_jax.bench.side_by_side import ours
    from bridge_jax.models.bundle import Bundle

    aligner = {"dropout": 0.0}
    bundle, params = ours.load(task, "omnibridge", "omnibridge", aligner=aligner)
    for name in others:
        other, more = ours.load(task, name, name)
        bundle = Bundle({**bundle.parts, **other.parts})
        params = {**params, **more}
    return bundle, params


def _captions(bundle: Any, params: Any, asked: np.ndarray) -> np.ndarray:
    """What the LLM says to `asked`: [ROWS, NEW]."""
    from bridge_jax.bench.side_by_side import ours
    from bridge_jax.inference.answering import decode

    rows = len(asked)
    deltas = np.zeros(rows, np.int32)
    batch = {"vlm": text(asked), "deltas": deltas, "numbers": np.arange(rows)}
    shared = {"limit": np.int32(NEW), "stops": np.array([-1], np.int32)}

    def answer(params, batch, shared):
        return decode.answer(bundle, params, batch, shared, slots=NEW, greedy=True)

    return np.asarray(ours.program(answer, params, batch, shared)())


def text(tokens: np.ndarray) -> dict[str, np.ndarray]:
    """Rows of text alone [B, T], without padding, as fields of the model."""
    rows, length = tokens.shape
    positions = np.arange(length, dtype=np.int32)
    return {
        "tokens": tokens.astype(np.int32),
        "positions": np.broadcast_to(positions, (rows, 3, length)),
        "segments": np.ones((rows, length), np.int32),
    }


def _ours(*kinds: str):
    """A step that finds `kinds` in the cache, and captions."""

    def make(task: Task) -> Side:
        from bridge_jax.bench.side_by_side import ours
        from bridge_jax.core import rng
        from bridge_jax.models import view
        from bridge_jax.objectives import semantic

        bundle, params = load(task, "mt5")
        captions, batch = _read(bundle, params, task.size, kinds)
        objective = semantic.Objective()

        def loss(params, batch):
            return objective(
                view.View(bundle, params, batch, rngs=rng.Streams(0, 0), step=0)
            )

        side = ours.train(params, batch, loss, TRAINABLE)
        return Side(side.run, lambda value: {**side.told(value), "captions": captions})

    return make


def _read(
    bundle: Any, params: Any, size: str, kinds: tuple[str, ...]
) -> tuple[np.ndarray, dict[str, Any]]:
    """Captions [ROWS, NEW], and the batch in which `kinds` need not be computed."""
    from bridge_jax.bench.side_by_side import ours
    from bridge_jax.inference import precompute

    asked = prompts(size)
    captions = _captions(bundle, params, asked)
    index = PROMPT + np.arange(NEW, dtype=np.int32)[_caption()]
    index = np.broadcast_to(index, (ROWS, len(index)))
    tokens, mask = _retold(size, captions)
    batch = {
        "vlm": text(np.concatenate([asked, captions], axis=1)),
        "memory_index": index,
        "memory_mask": np.ones(index.shape, bool),
        "replaceable": np.ones(ROWS, bool),
        "t5_tokens": tokens.astype(np.int32),
        "t5_mask": mask.astype(np.int32),
    }
    found = {}
    for kind in kinds:

        def derived(params, batch, kind=kind):
            return precompute.derived(bundle, params, batch, {}, kind=kind)

        found |= ours.program(derived, params, batch)()
    return captions, batch | found


def _theirs(task: Task) -> Side:
    from bridge_jax.bench.side_by_side.peers import encoders, sides, stage2

    model = stage2.trained(omnibridge(task))
    teacher = sides.made(task, lambda: encoders.mt5(_MT5[task.size]), "mt5")
    for part in (model, model.bilm, teacher):
        part.forward = sides.compiled(task, part.forward)
    asked = sides.given(task, {"prompts": prompts(task.size)})["prompts"]
    last = {}

    def loss():
        error, last["captions"] = stage2.loss(
            model,
            teacher,
            asked,
            NEW,
            _caption(),
            lambda tokens: _retold(task.size, tokens),
        )
        return error

    # What the loss calls is compiled already.
    side = sides.train(dataclasses.replace(task, compiled=False), model, loss)

    def told(value):
        return {**side.told(value), "captions": last["captions"].cpu().numpy()}

    return Side(side.run, told)


def omnibridge(task: Task) -> Any:
    """Theirs."""
    from bridge_jax.bench.side_by_side.peers import omnibridge, sides

    sizes = [table[task.size] for table in (qwen2_vl.SIZES, _ALIGNERS, _HEADS)]

    def make():
        model = omnibridge.make(*sizes)
        if task.dtype != "float32":
            omnibridge.speak_up(model, _LOUDER)
        return model

    return sides.made(task, make, "omnibridge")


def _samples(size: str) -> int:
    return ROWS


_shared = dict(
    theirs=_theirs,
    items=_samples,
    unit="sample",
    wanted=20,
    sizes=("tiny", "small"),  # a step of theirs takes minutes at medium
)
CASES = {
    "step": Case(_ours(), **_shared),
    "step_cached": Case(_ours("targets", "states"), **_shared),
}
