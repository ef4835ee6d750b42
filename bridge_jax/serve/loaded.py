"""A loaded model as a server's backend."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bridge_jax.data.instructions import Instructions
from bridge_jax.inference import live
from bridge_jax.inference.drawing.paint import PARTS as DRAWING
from bridge_jax.inference.embed import PARTS as EMBEDDING
from bridge_jax.inference.model import Model
from bridge_jax.serve.backend import Ask, Drawn, Reply, Show, Wish
from bridge_jax.serve.pictures import decoded


class Loaded:
    """See `backend.Backend`.

    Args:
      rows: conversations that are answered side by side.
      max_context: most tokens of a conversation and its answer, None for the model's.
    """

    def __init__(self, model: Model, rows: int, max_context: int | None = None):
        self._model = model
        self.tasks = frozenset(_tasks(model))
        self.size = _size(model) if "draw" in self.tasks else (1, 1)
        self._live = None
        if "chat" in self.tasks:
            self._live = live.Live(model, rows=rows, max_context=max_context)

    def chat(self, ask: Ask) -> list[Reply]:
        pictures, messages = decoded(ask.pictures), ask.messages
        if ask.think:
            messages = _to_think(self._model.processor.words, messages)
        replies: list[Reply] = []
        try:
            for number in range(ask.n):
                choice = live.Choice(
                    max_new_tokens=ask.max_tokens,
                    temperature=ask.temperature,
                    top_k=ask.top_k,
                    top_p=ask.top_p,
                    min_p=ask.min_p,
                    repetition_penalty=ask.repetition_penalty,
                    seed=(ask.seed + number) % 2**32,
                    stop=ask.stop,
                    logprobs=ask.logprobs,
                )
                replies.append(self._live.ask(messages, pictures, choice=choice))
        except BaseException:
            for reply in replies:
                reply.cancel()
            raise
        return replies

    def draw(self, wish: Wish, show: Show, every: int) -> Drawn:
        choices = dict(wish.choices) | {"previews": show, "preview_every": every}
        if wish.size is not None:
            choices["size"] = wish.size
        if wish.picture is None:
            [made] = self._model.generate(
                [wish.prompt], images_per_prompt=wish.n, **choices
            )
        else:
            pictures = decoded([wish.picture])
            [made] = self._model.edit(
                pictures, [wish.prompt], images_per_edit=wish.n, **choices
            )
        return Drawn(made.images, made.caption, made.note)

    def embed(
        self, texts: Sequence[str], pictures: Sequence[bytes]
    ) -> tuple[int, np.ndarray]:
        found = []
        if texts:
            found.append(self._model.embed(texts=list(texts)))
        if pictures:
            found.append(self._model.embed(images=decoded(pictures)))
        tokens = sum(map(len, self._model.processor.llm.encode_texts(list(texts))))
        return tokens, np.concatenate(found)

    def close(self) -> None:
        if self._live is not None:
            self._live.close()


def _to_think(words: Instructions, messages: Sequence[Any]) -> list[Any]:
    """The conversation with its last text as a question to be thought about."""
    *before, last = messages
    parts = list(last["content"])
    texts = [i for i, part in enumerate(parts) if part["type"] == "text"]
    for i in texts[-1:]:
        asked = words.asked(parts[i]["text"], think=True)
        parts[i] = {"type": "text", "text": asked}
    return [*before, {**last, "content": parts}]


def _tasks(model: Model) -> list[str]:
    """What the parts of a model are enough for."""
    bundle = model.engine.bundle
    needs = {
        "chat": ("vlm",),
        "draw": DRAWING["queries"],
        "edit": DRAWING["queries"],
        "embed": EMBEDDING,
    }
    return [
        task for task, parts in needs.items() if all(part in bundle for part in parts)
    ]


def _size(model: Model) -> tuple[int, int]:
    """(height, width) of what the decoder draws."""
    bundle = model.engine.bundle
    side = bundle["dit"].config.input_size * bundle["vae"].config.factor
    return side, side
