"""Scenes told in words, described and asked about: the world for a model without eyes.

What is told stands where a picture stands in other streams: text, or, in a share of
rows, glances, whose visual tokens are mixtures of words (a llava model's `mixture`).
"""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import chat, processor, rows, shapes_world, tokens, vocabulary
from bridge_jax.data.chat import Row
from bridge_jax.data.choices import Choices
from bridge_jax.data.shapes import glances, language, questions, splits, telling
from bridge_jax.data.streams import ENDLESS

MOST_QUESTIONS = 8


@dataclasses.dataclass(frozen=True)
class Stream:
    """Row: vlm {...}, targets [T], loss_mask [T] float32.

    With glances, vlm has patches [16, words] of the shapes world's vocabulary, zeros in
    rows of text; without, it is text alone.

    Attributes:
      length: T; as many turns as fit are kept.
      questions: which kinds are asked how often, see `shapes.questions.MIXES`.
      evenness: see `rows.weigh_replies`.
      glances: share of rows told so.
    """

    processor: processor.Processor
    split: str = "train"
    seed: int = 0
    length: int = 128
    questions: str = "even"
    evenness: float = 0.5
    glances: float = 0.0

    def __post_init__(self):
        questions.check_mix(self.questions)

    def __call__(self, index: int) -> dict[str, np.ndarray]:
        rng = Choices(self.seed, self.split, index, "text")
        scene = shapes_world.Source(self.split, self.seed, ENDLESS)[index].scene
        pictures: list[rows.Picture] = []
        if self.glances and rng.coin(self.glances):
            shares = glances.mixtures(rng, scene, *_columns())
            pictures.append((shares, (1, glances.SIDE, glances.SIDE)))
            told = None
        else:
            told = telling.told(rng, scene)
        pairs = splits.pairs(self.split)
        asked = questions.ask(rng, scene, pairs, MOST_QUESTIONS, self.questions)
        turns = [(one.question, one.answer) for one in asked]
        words = self.processor.words
        if words.look_first:
            turns.insert(0, (words.describe, language.canonical(scene)))
        conversation = self._fitting(told, turns)
        places = glances.SIDE**2 if self.glances else 0
        fields, response, _ = self.processor.vlm(
            [conversation], [], self.length, places
        )
        if self.glances:
            fields |= rows.vision(pictures, places, _columns()[1], merge=1)
        weights = rows.weigh_replies(response, self.evenness)
        return {"vlm": fields, "targets": fields["tokens"], "loss_mask": weights}

    def _fitting(self, told: str | None, turns: Sequence[tuple[str, str]]) -> Row:
        """As many turns as fit; the first is told the scene, or given glances."""
        kept: list[Row] = []
        for question, reply in turns:
            content, grids = (question, ()) if kept else self._opening(told, question)
            row = self.processor.render(
                [
                    {"role": "user", "content": content},
                    {"role": "assistant", "content": reply},
                ],
                grids,
                begins=not kept,
            )
            if sum(len(one.tokens) for one in [*kept, row]) > self.length:
                break
            kept.append(row)
        if not kept:
            raise BridgeError(
                f"not one turn fits into {self.length} tokens: give the stream a"
                " greater length"
            )
        return chat.follow(kept)

    def _opening(
        self, told: str | None, question: str
    ) -> tuple[object, tuple[chat.Grid, ...]]:
        """Content of the first question, and grids of what it shows."""
        if told is not None:
            return f"{told}\n{question}", ()
        side = glances.SIDE * self.processor.config.merge
        content = [{"type": "image"}, {"type": "text", "text": question}]
        return content, ((1, side, side),)


@functools.cache
def _columns() -> tuple[dict[str, int], int]:
    """Word -> its column of glances, and how many columns there are."""
    known = vocabulary.load(tokens.BUILT_IN / vocabulary.SHAPES).words
    spaced = {word[1:]: i for i, word in enumerate(known) if word.startswith(" ")}
    return spaced, len(known)
