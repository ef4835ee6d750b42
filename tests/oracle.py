"""Models that need no weights: one knows the truth, one only makes noise."""

import functools
import types
from zlib import crc32

import numpy as np

from bridge_jax.data import shapes_world
from bridge_jax.data.choices import Choices
from bridge_jax.data.shapes import language, prompts, splits
from bridge_jax.eval.tasks import editing, understanding


class Oracle:
    """Answers, draws, edits and finds without a mistake, from the truth of a split."""

    def __init__(self, split="test"):
        self.params = {"part": {"kernel": np.arange(6, dtype=np.float32)}}
        bundle = types.SimpleNamespace(description=lambda: {"part": "oracle"})
        self.engine = types.SimpleNamespace(bundle=bundle)
        answers, self.prompts, self.targets, self.asked = truth(split)
        self.answers = dict(answers)  # grows by what is drawn
        self.split = split
        self.calls = 0

    def chat(self, images, questions, max_new_tokens):
        self.calls += 1
        keys = zip((crc32(image) for image in images), questions, strict=True)
        return [types.SimpleNamespace(text=f" {self.answers[k].upper()}") for k in keys]

    def describe(self, images):
        """What is seen, position and all."""
        self.calls += 1
        scenes = [shapes_world.read_scene(image).scene for image in images]
        return [language.canonical(scene) for scene in scenes]

    def generate(self, prompts, *, images_per_prompt, seed, condition="queries", **_):
        self.calls += 1
        settings = images_per_prompt, seed, condition
        return [self._drawing(prompt, *settings) for prompt in prompts]

    def _drawing(self, prompt, number, seed, condition):
        stream = Choices(seed, prompt, condition)
        scene = shapes_world.parse_caption(prompt)  # None of what is only a wish
        if prompt in self.prompts:
            scene = scene_of(stream, self.split, self.prompts[prompt])
        image = shapes_world.render(scene)
        for question in self.asked.get(prompt, ()):
            self.answers[crc32(image), question.question] = question.answer
        return types.SimpleNamespace(
            prompt=prompt,
            caption=language.canonical(scene),
            images=np.stack([image] * number),
        )

    def edit(self, images, instructions, **_):
        self.calls += 1
        made = []
        for image, instruction in zip(images, instructions, strict=True):
            scene = self.targets[crc32(image), instruction]
            made.append(
                types.SimpleNamespace(
                    instruction=instruction,
                    caption=language.canonical(scene),
                    images=shapes_world.render(scene)[None],
                )
            )
        return made

    def reconstruct(self, images):
        self.calls += 1
        return images

    def embed(self, images=None, texts=None):
        """A random direction for each canonical caption."""
        self.calls += 1
        if images is not None:
            texts = [
                language.canonical(shapes_world.read_scene(i).scene) for i in images
            ]
        rows = []
        for text in texts:
            generator = np.random.default_rng(list(text.encode()))
            row = generator.standard_normal(32).astype(np.float32)
            rows.append(row / np.linalg.norm(row))
        return np.stack(rows)


class Noise(Oracle):
    """Has no idea."""

    def __init__(self, split="test"):
        super().__init__(split)
        self.params = {"part": {"kernel": np.zeros(6, np.float32)}}

    def chat(self, images, questions, **_):
        return [types.SimpleNamespace(text="perhaps <b>")] * len(questions)

    def describe(self, images):
        return [""] * len(images)

    def _drawing(self, prompt, number, seed, condition):
        return types.SimpleNamespace(
            prompt=prompt, caption="???", images=noise(seed, number)
        )

    def edit(self, images, instructions, *, seed=0, **_):
        return [
            types.SimpleNamespace(
                instruction=instruction, caption="", images=noise(seed, 1)
            )
            for instruction in instructions
        ]

    def reconstruct(self, images):
        return list(noise(0, len(images)))

    def embed(self, images=None, texts=None):
        return np.ones((len(images or texts), 4), np.float32)


@functools.cache
def truth(split):
    """Right answers, prompts, edited scenes and what is asked of captions' scenes."""
    answers = {
        (crc32(picture), question.question): question.answer
        for _, picture, question in understanding.questions(split, 24, 4)
    }
    asked = {
        prompt["prompt"]: prompt
        for tag in prompts.TAGS
        for prompt in prompts.every(split, tag)
    }
    targets = {
        (crc32(shapes_world.render(edit.source)), edit.instruction): edit.target
        for edit in editing.edits(split, 12)
    }
    questions = {
        item.caption("canonical"): item.questions(1)
        for item in shapes_world.distinct_scenes(split, 24)
    }
    return answers, asked, targets, questions


def noise(seed, number):
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, (number, 64, 64, 3), np.uint8)


def scene_of(stream, split, prompt):
    drawn = prompts.scene_for(stream, split, prompt)
    assert splits.admits(split, drawn)
    return drawn
