"""Embeddings of OmniBridge's retrieval against the same on transformers, both batched.

LLM states of a picture, or of a text, projected; learned queries read them through the
aligner; both are pooled and mixed. Rows of a batch are of one length and begin alike,
with as many tokens as Qwen2-VL's template has before a picture or a text. Ours reads
these once, as `bridge embed` does, and nothing after the last token that is asked for;
transformers reads whole rows.
"""

import dataclasses

import numpy as np

from bridge_jax.bench.side_by_side.case import Case, Side, Task
from bridge_jax.bench.side_by_side.cases import qwen2_vl, stage2

ROWS = {"image": 8, "text": 32}
PROMPT = 14  # tokens before a picture or a text
WORDS = 32  # tokens of a text


def _pictures(size: str) -> tuple[qwen2_vl.Given, slice]:
    """A picture a row and nothing else, and where its tokens stand."""
    config = qwen2_vl.SIZES[size]
    what = qwen2_vl.given(config, size, ROWS["image"])
    _, high, wide = what.grid
    start = PROMPT + 1  # after the mark of a picture
    seen = slice(start, start + high * wide // config.vision.merge**2)
    tokens = np.concatenate([_prompts(size, "image"), what.tokens], axis=1)
    return dataclasses.replace(what, tokens=tokens[:, : seen.stop + 1]), seen


def _texts(size: str) -> tuple[np.ndarray, slice]:
    """Tokens, int64 [B, PROMPT + WORDS], and where the text stands."""
    words = _drawn(1, size, (ROWS["text"], WORDS))
    tokens = np.concatenate([_prompts(size, "text"), words], axis=1)
    return tokens, slice(PROMPT, None)


def _prompts(size: str, modality: str) -> np.ndarray:
    """Int64 [B, PROMPT], alike in all rows."""
    return np.tile(_drawn(0, size, (1, PROMPT)), (ROWS[modality], 1))


def _drawn(seed: int, size: str, shape: tuple[int, int]) -> np.ndarray:
    vocab = qwen2_vl.SIZES[size].vocab_size
    return np.random.default_rng(seed).integers(10, vocab - 10, shape)


def _ours(modality: str):
    def make(task: Task) -> Side:
        from bridge_jax.bench.side_by_side import ours
        from bridge_jax.inference import embed, opening

        bundle, params = stage2.load(task)
        if modality == "image":
            what, seen = _pictures(task.size)
            what = dataclasses.replace(what, tokens=what.tokens[:, : seen.stop])
            fields, _ = qwen2_vl.fields(what, bundle["vlm"].config)
        else:
            tokens, seen = _texts(task.size)
            fields = stage2.text(tokens)
        fields, begun = opening.split(fields, seen.start)
        rows, length = fields["tokens"].shape
        index = np.broadcast_to(np.arange(length, dtype=np.int32), (rows, length))
        batch = {
            f"vlm_{modality}": fields,
            f"{modality}_index": index,
            f"{modality}_mask": np.ones(index.shape, bool),
        }

        def vectors(params, batch, shared):
            return embed.embedding(bundle, params, batch, shared, modality=modality)

        return ours.forward(vectors, params, batch, {"opening": begun})

    return make


def _theirs(modality: str):
    def make(task: Task) -> Side:
        from bridge_jax.bench.side_by_side.peers import sides

        if modality == "image":
            what, seen = _pictures(task.size)
            arrays = qwen2_vl.feed(what, qwen2_vl.SIZES[task.size])
        else:
            tokens, seen = _texts(task.size)
            arrays = {"input_ids": tokens, "attention_mask": np.ones_like(tokens)}
        model = stage2.omnibridge(task)
        feed = sides.given(task, arrays)

        def vectors():
            states = model.model(**feed, use_cache=False).last_hidden_state
            return model.embed(states[:, seen], modality)

        return sides.forward(task, vectors)

    return make


def _case(modality: str, unit: str) -> Case:
    return Case(
        _ours(modality), _theirs(modality), lambda size: ROWS[modality], unit, 1.2
    )


CASES = {
    "embed_images": _case("image", "picture"),
    "embed_texts": _case("text", "text"),
}
