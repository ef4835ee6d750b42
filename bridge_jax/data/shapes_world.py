"""The embedded shapes world: endless, deterministic, exactly scorable.

    source = shapes_world.Source("train", seed=0)
    item = source[123]
    item.image                  uint8 [64, 64, 3]
    item.caption()              'a small red circle top left, ..., on a gray background'
    item.questions(4)           [Question(kind, question, answer), ...]
    item.rewrite                Rewrite(tag, prompt, scene): a prompt and a scene for it
    item.edit                   Edit(kind, instruction, source, target)
    read_scene(item.image).scene == item.scene      but for a small error of x and y

Item i of a split is a pure function of (seed, split, i); nothing is stored. Parts are
computed when first asked for, each from its own random stream, so text-only training
draws no picture. `Source` has `__len__` and `__getitem__` and is a Grain data source.
"""

import dataclasses
import functools
import operator
from collections.abc import Iterator

import numpy as np

from bridge_jax.core import errors
from bridge_jax.data.choices import Choices
from bridge_jax.data.shapes import corpus as corpus_texts
from bridge_jax.data.shapes import draw, edits, prompts, questions, splits
from bridge_jax.data.shapes.corpus import VOCABULARY
from bridge_jax.data.shapes.draw import render
from bridge_jax.data.shapes.edits import Edit
from bridge_jax.data.shapes.language import STYLES, parse_caption
from bridge_jax.data.shapes.palette import BACKGROUNDS, COLORS, HELDOUT_PAIRS, SHAPES
from bridge_jax.data.shapes.questions import Question
from bridge_jax.data.shapes.read import Reading, read_scene
from bridge_jax.data.shapes.scene import Object, Scene
from bridge_jax.data.shapes.score import Match, geneval_correct, scenes_match
from bridge_jax.data.shapes.splits import SPLITS

__all__ = [
    "BACKGROUNDS",
    "COLORS",
    "HELDOUT_PAIRS",
    "SHAPES",
    "SPLITS",
    "STYLES",
    "VOCABULARY",
    "Edit",
    "Item",
    "Match",
    "Object",
    "Question",
    "Reading",
    "Rewrite",
    "Scene",
    "Source",
    "corpus",
    "distinct_scenes",
    "geneval_correct",
    "geneval_prompts",
    "parse_caption",
    "read_scene",
    "render",
    "scenes_match",
]

DEFAULT_LENGTH = 1_000_000


@dataclasses.dataclass(frozen=True)
class Rewrite:
    """A prompt (GenEval metadata) and one scene with exactly the named objects."""

    tag: str
    prompt: prompts.Prompt
    scene: Scene


@dataclasses.dataclass(frozen=True)
class Item:
    """Everything about one index; see the module's docstring for its parts."""

    split: str
    seed: int
    index: int

    def _stream(self, purpose: str) -> Choices:
        return Choices(self.seed, self.split, self.index, purpose)

    @functools.cached_property
    def scene(self) -> Scene:
        return splits.sample_scene(self._stream("scene"), self.split)

    @functools.cached_property
    def image(self) -> np.ndarray:
        """uint8 [64, 64, 3]."""
        return draw.render(self.scene)

    def caption(self, style: str = "canonical") -> str:
        """The caption in one of STYLES; raises BridgeError for another name."""
        if style not in STYLES:
            names = ", ".join(STYLES)
            raise errors.BridgeError(f"no caption style named {style!r}: {names}")
        return STYLES[style](self.scene)

    def captions(self, count: int = 3) -> list[str]:
        """Captions in `count` different styles, chosen at random."""
        styles = self._stream("captions").sample(tuple(STYLES), count)
        return [self.caption(style) for style in styles]

    def questions(self, count: int = 4) -> list[Question]:
        """The first `count` of the item's endless questions."""
        pairs = splits.pairs(self.split)
        return questions.ask(self._stream("questions"), self.scene, pairs, count)

    @functools.cached_property
    def prompts(self) -> list[prompts.Prompt]:
        """Prompts that name all objects of the scene; none for some mixed scenes."""
        return prompts.about(self._stream("prompts"), self.scene)

    @functools.cached_property
    def rewrite(self) -> Rewrite:
        """A prompt of a random tag; its scene is another than the item's."""
        stream = self._stream("rewrite")
        tag = stream.choice(prompts.TAGS)
        prompt = prompts.sample(stream, self.split, tag)
        return Rewrite(tag, prompt, prompts.scene_for(stream, self.split, prompt))

    @functools.cached_property
    def edit(self) -> Edit:
        """An edit of a random kind; its source is another scene than the item's."""
        stream = self._stream("edit")
        return edits.sample(stream, self.split, stream.choice(edits.KINDS))

    def to_json(self) -> dict:
        """All but the picture, as JSON values."""
        return {
            "split": self.split,
            "seed": self.seed,
            "index": self.index,
            "scene": self.scene.to_json(),
            "captions": {style: self.caption(style) for style in STYLES},
            "questions": [asked.to_json() for asked in self.questions()],
            "prompts": self.prompts,
            "rewrite": {
                "prompt": self.rewrite.prompt,
                "scene": self.rewrite.scene.to_json(),
            },
            "edit": self.edit.to_json(),
        }


class Source:
    """Random access to the items of a split.

    Raises:
      BridgeError: no such split.
      IndexError: from `source[i]` outside 0 <= i < length.
    """

    def __init__(self, split: str, seed: int = 0, length: int = DEFAULT_LENGTH):
        self.split = splits.check(split)
        self.seed = seed
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index) -> Item:
        index = operator.index(index)
        if not 0 <= index < self.length:
            raise IndexError(f"item {index} of {self.length} in {self!r}")
        return Item(self.split, self.seed, index)

    def __repr__(self) -> str:
        return f"Source({self.split!r}, seed={self.seed}, length={self.length})"


def distinct_scenes(split: str, count: int, seed: int = 0) -> list[Item]:
    """The first `count` items whose canonical captions all differ."""
    found: dict[str, Item] = {}
    for item in Source(split, seed):
        found.setdefault(item.caption(), item)
        if len(found) == count:
            return list(found.values())
    raise errors.BridgeError(
        f"{split} holds fewer than {count} distinct scenes in {DEFAULT_LENGTH} items"
    )


def geneval_prompts(split: str, per_tag: int, seed: int = 0) -> list[prompts.Prompt]:
    """`per_tag` prompts for each of GenEval's tags, repeated only where there are no
    more; in heldout each names a held-out pair."""
    stream = Choices(seed, splits.check(split), "geneval_prompts")
    chosen = []
    for tag in prompts.TAGS:
        every = prompts.every(split, tag)
        shuffled = stream.sample(every, len(every))
        chosen += [shuffled[i % len(shuffled)] for i in range(per_tag)]
    return chosen


def corpus(count: int, seed: int = 0) -> Iterator[str]:
    """`count` texts of all kinds from the train split."""
    texts = corpus_texts.texts(Source("train", seed))
    return (text for _, text in zip(range(count), texts))
