"""Stage 1: questions, captions, prompts to rewrite and edits to caption, mixed.

A row is either one conversation about one picture with several turns, the first of
which describes it where `Instructions.look_first` says so, or a pack of rewritings
without a picture. Only what the assistant says is learnt.
"""

import dataclasses

import numpy as np

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import chat, processor, rows, shapes_world, slips, thinking
from bridge_jax.data.chat import Row
from bridge_jax.data.choices import Choices
from bridge_jax.data.shapes import edits, language, palette, prompts, questions, splits
from bridge_jax.data.streams import ENDLESS

MOST_QUESTIONS = 8


@dataclasses.dataclass(frozen=True)
class Stream:
    """Row: vlm {...}, targets [T], loss_mask [T] float32 (`rows.weigh_replies`).

    Attributes:
      length: T; as many turns as fit are kept, and one must fit.
      num_patches: P.
      image_size: pixels a side.
      rewrite: share of rows that rewrite prompts.
      edit: share of the other rows that caption an edit before questions follow.
      moves: share of edits that are moves, beside those that are by chance: the
        hardest, since what is moved takes another place among the words, too.
      reasons: the caption of an edit comes after a sentence that says what changes, so
        that which object is meant is settled before the caption is written.
      describe: share of them that are asked for a description then.
      evenness: see `rows.weigh_replies`. Answers are short: by tokens alone, captions
        would have nearly all the weight.
      questions: which kinds are asked how often, see `shapes.questions.MIXES`.
      thoughts: share of questions that are asked to be thought about, see
        `data/thinking.py`.
      varied, background: of prompts to rewrite, see `draw_pair`.
      slips: share of color words misread in rewritten prompts and captions of edits,
        see `data/slips.py`; never in descriptions, which answers rest on.
    """

    processor: processor.Processor
    split: str = "train"
    seed: int = 0
    length: int = 144
    num_patches: int = 64
    image_size: int = palette.IMAGE_SIZE
    rewrite: float = 0.1
    edit: float = 0.3
    moves: float = 0.0
    reasons: bool = False
    describe: float = 0.05
    evenness: float = 0.5
    questions: str = "even"
    thoughts: float = 0.0
    varied: bool = False
    background: str | None = None
    slips: float = 0.0

    def __post_init__(self):
        questions.check_mix(self.questions)

    def __call__(self, index: int) -> dict[str, np.ndarray]:
        rng = Choices(self.seed, self.split, index, "instruct")
        item = shapes_world.Source(self.split, self.seed, ENDLESS)[index]
        if rng.coin(self.rewrite):
            conversations, pictures = self._rewritings(rng), []
        else:
            conversation, picture = self._conversation(rng, item)
            conversations, pictures = [conversation], [picture]
        fields, response, captions = self.processor.vlm(
            conversations, pictures, self.length, self.num_patches
        )
        weights = rows.weigh_replies(response, self.evenness)
        targets = fields["tokens"]
        if self.slips:
            fields["tokens"] = slips.slipped(
                self.processor.llm, rng, targets, captions, self.slips
            )
        return {"vlm": fields, "targets": targets, "loss_mask": weights}

    def _rewritings(self, rng: Choices) -> list[Row]:
        """Single-turn conversations until the row is full."""
        source = shapes_world.Source(self.split, self.seed, ENDLESS)
        packed: list[Row] = []
        while True:
            prompt, scene = draw_pair(
                rng, source[rng.below(ENDLESS)], self.varied, self.background
            )
            row = self.processor.draw(prompt, language.canonical(scene))
            used = sum(len(one.tokens) for one in packed)
            if used + len(row.tokens) > self.length:
                self._check_started(packed)
                return packed
            packed.append(row)

    def _conversation(self, rng: Choices, item: shapes_world.Item):
        edit = self._edit(rng, item) if rng.coin(self.edit) else None
        scene = item.scene if edit is None else edit.source
        picture = self.processor.look_at(
            shapes_world.render(scene, size=self.image_size)
        )
        turns: list[Row] = []
        for question, reply in self._turns(rng, scene, edit):
            begins = not turns
            content = [{"type": "text", "text": question}]
            if begins:
                content = [{"type": "image"}, *content]
            row = self.processor.render(
                [
                    {"role": "user", "content": content},
                    {"role": "assistant", "content": reply},
                ],
                [picture[1]] if begins else [],
                begins=begins,
            )
            if sum(len(one.tokens) for one in [*turns, row]) > self.length:
                break
            turns.append(row)
        self._check_started(turns)
        return chat.follow(turns), picture

    def _check_started(self, kept: list[Row]) -> None:
        if not kept:
            raise BridgeError(
                f"not one turn fits into {self.length} tokens: give the stream a "
                "greater length"
            )

    def _edit(self, rng: Choices, item: shapes_world.Item) -> shapes_world.Edit:
        if self.moves and rng.coin(self.moves):
            return edits.sample(rng, self.split, "move")
        return item.edit

    def _turns(self, rng: Choices, scene, edit: shapes_world.Edit | None):
        words = self.processor.words
        turns = []
        described = (words.describe, language.canonical(scene))
        if words.look_first:
            turns.append(described)
        if edit is not None:
            caption = {"type": "caption", "text": language.canonical(edit.target)}
            reason = {"type": "text", "text": f"{edit.change}."}
            wish = words.edit.format(instruction=edit.instruction)
            turns.append((wish, [reason, caption] if self.reasons else [caption]))
        if rng.coin(self.describe):
            turns.append(described)
        pairs = splits.pairs(self.split)
        asked = questions.ask(rng, scene, pairs, MOST_QUESTIONS, self.questions)
        return turns + [self._asked(rng, one) for one in asked]

    def _asked(self, rng: Choices, one: shapes_world.Question) -> tuple[str, str]:
        if not (self.thoughts and rng.coin(self.thoughts)):
            return one.question, one.answer
        question = self.processor.words.asked(one.question, think=True)
        return question, thinking.concluded(one.thought, one.answer)


def draw_pair(
    rng: Choices, item: shapes_world.Item, varied: bool, background: str | None
):
    """(what a user asks for, the scene to be drawn): a tagged prompt or a caption.

    Args:
      varied: half of the tagged prompts name colors in forms that else have none.
      background: of the scenes of tagged prompts, which name none; None for any.
    """
    if rng.coin(0.35 if varied else 0.7):
        prompt = item.rewrite.prompt
        if background is None:
            return prompt["prompt"], item.rewrite.scene
    elif varied and rng.coin(0.55):
        prompt = prompts.varied(rng, item.split, rng.choice(prompts.TAGS))
    else:
        style = language.STYLES[rng.choice(list(language.STYLES))]
        return style(item.scene), item.scene
    scene = prompts.scene_for(rng, item.split, prompt, background)
    return prompt["prompt"], scene
