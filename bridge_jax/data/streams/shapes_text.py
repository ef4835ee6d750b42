"""Scenes told in words, described and asked about: the world for a model without eyes.

What is told stands where a picture stands in other streams.
"""

import dataclasses

import numpy as np

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import chat, processor, rows, shapes_world
from bridge_jax.data.chat import Row
from bridge_jax.data.choices import Choices
from bridge_jax.data.shapes import language, questions, splits, telling
from bridge_jax.data.streams import ENDLESS

MOST_QUESTIONS = 8


@dataclasses.dataclass(frozen=True)
class Stream:
    """Row: vlm {...} of text alone, targets [T], loss_mask [T] float32.

    Attributes:
      length: T; as many turns as fit are kept.
      questions: which kinds are asked how often, see `shapes.questions.MIXES`.
      evenness: see `rows.weigh_replies`.
    """

    processor: processor.Processor
    split: str = "train"
    seed: int = 0
    length: int = 128
    questions: str = "even"
    evenness: float = 0.5

    def __post_init__(self):
        questions.check_mix(self.questions)

    def __call__(self, index: int) -> dict[str, np.ndarray]:
        rng = Choices(self.seed, self.split, index, "text")
        scene = shapes_world.Source(self.split, self.seed, ENDLESS)[index].scene
        told = telling.told(rng, scene)
        pairs = splits.pairs(self.split)
        asked = questions.ask(rng, scene, pairs, MOST_QUESTIONS, self.questions)
        turns = [(one.question, one.answer) for one in asked]
        words = self.processor.words
        if words.look_first:
            turns.insert(0, (words.describe, language.canonical(scene)))
        kept: list[Row] = []
        for question, reply in turns:
            begins = not kept
            row = self.processor.render(
                [
                    {
                        "role": "user",
                        "content": f"{told}\n{question}" if begins else question,
                    },
                    {"role": "assistant", "content": reply},
                ],
                begins=begins,
            )
            if sum(len(one.tokens) for one in [*kept, row]) > self.length:
                break
            kept.append(row)
        if not kept:
            raise BridgeError(
                f"not one turn fits into {self.length} tokens: give the stream a"
                " greater length"
            )
        fields, response, _ = self.processor.vlm(
            [chat.follow(kept)], [], self.length, 0
        )
        weights = rows.weigh_replies(response, self.evenness)
        return {"vlm": fields, "targets": fields["tokens"], "loss_mask": weights}
