"""Text and pictures to arrays, by the sizes of one model: what every caller shares.

Training streams, the inference engine and the tests all build their inputs here, so
that a state seen in training is the state seen in use.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import (
    chat,
    images,
    instructions,
    layouts,
    patches,
    positions,
    rows,
    shorten,
    templates,
    text_encoding,
    tokens,
)


@dataclasses.dataclass(frozen=True)
class Config:
    """Where tokenizers are and how long things may be.

    Attributes:
      tokenizers: folder with that of the language model, mt5/ and bert/; "" for the
        built-in ones.
      llm: the folder in there whose tokenizer is the language model's.
      instructions: a name of `instructions.SETS`.
      patch, temporal, merge: as in the vision tower.
      layout: a file of `layouts`: what the tower is shown of a picture.
      min_pixels, max_pixels: limits of the layout "native".
      side: of the frames of "square" and "anyres", in pixels.
      tiles: (rows, columns) of tiles that "anyres" chooses among.
      t5_length, bert_length: fixed lengths of the decoder's text inputs.
      memory_length: most states the aligner reads of one row.
      positions: a name of `positions.RULES`, as the language model wants it.
      template: a name of `templates.TEMPLATES`, likewise.
    """

    tokenizers: str = ""
    llm: str = "qwen2_vl"
    instructions: str = "short"
    patch: int = 8
    temporal: int = 2
    merge: int = 2
    layout: str = "native"
    min_pixels: int = 32 * 32
    max_pixels: int = 64 * 64
    side: int = 336
    tiles: tuple[tuple[int, int], ...] = ((1, 2), (2, 1), (2, 2), (1, 3), (3, 1))
    t5_length: int = 36
    bert_length: int = 40
    memory_length: int = 36
    positions: str = "mrope"
    template: str = "qwen2_vl"

    def __post_init__(self):
        layouts.named(self.layout, self)
        templates.named(self.template)
        if self.positions not in positions.RULES:
            known = ", ".join(positions.RULES)
            raise BridgeError(
                f"processor.positions {self.positions!r} is none of {known}"
            )


@dataclasses.dataclass(frozen=True)
class Processor:
    """See `Config`; make one and share it."""

    config: Config

    @functools.cached_property
    def llm(self) -> tokens.Tokenizer:
        return self._load(self.config.llm)

    @functools.cached_property
    def mt5(self) -> tokens.Tokenizer:
        return self._load("mt5")

    @functools.cached_property
    def bert(self) -> tokens.Tokenizer:
        return self._load("bert")

    def _load(self, name: str) -> tokens.Tokenizer:
        home = self.config.tokenizers
        return tokens.load((pathlib.Path(home) if home else tokens.BUILT_IN) / name)

    @property
    def template(self) -> templates.Template:
        """How conversations are written."""
        return templates.named(self.config.template)

    @property
    def rule(self) -> positions.Rule:
        """How a row's tokens are numbered."""
        return positions.RULES[self.config.positions]

    @functools.cached_property
    def words(self) -> instructions.Instructions:
        return instructions.named(self.config.instructions)

    # --- conversations ----------------------------------------------------------

    def render(
        self,
        messages: Sequence[chat.Message],
        grids: Sequence[chat.Grid] = (),
        *,
        videos: Sequence[chat.Grid] = (),
        answer: bool = False,
        begins: bool = True,
    ) -> chat.Row:
        """One conversation, or what follows in one where it does not begin here.

        `grids` are of its pictures, `videos` of its videos; `answer` opens the
        assistant's turn at its end.
        """
        return chat.render(
            self.llm,
            messages,
            image_grids=grids,
            video_grids=videos,
            system=self.words.system if begins else None,
            generation_prompt=answer,
            merge=self.config.merge,
            template=self.template,
            begins=begins,
        )

    def describe(self, caption: str | None, grid: chat.Grid) -> chat.Row:
        """Picture -> caption; a prompt only where `caption` is None."""
        content = [{"type": "image"}, {"type": "text", "text": self.words.describe}]
        reply = None if caption is None else caption
        return self._turn(content, reply, [grid])

    def ask(self, question: str, answer: str | None, grid: chat.Grid) -> chat.Row:
        """Picture and question -> answer."""
        content = [{"type": "image"}, {"type": "text", "text": question}]
        return self._turn(content, answer, [grid])

    def draw(self, prompt: str, caption: str | None) -> chat.Row:
        """Prompt -> the caption of the picture to draw, between <img> and </img>."""
        text = self.words.draw.format(prompt=prompt)
        return self._turn([{"type": "text", "text": text}], _caption(caption))

    def edit(self, instruction: str, caption: str | None, grid: chat.Grid) -> chat.Row:
        """Picture and instruction -> the caption of the edited picture."""
        text = self.words.edit.format(instruction=instruction)
        content = [{"type": "image"}, {"type": "text", "text": text}]
        return self._turn(content, _caption(caption), [grid])

    def look(self, grid: chat.Grid) -> chat.Row:
        """Only a picture: what retrieval and editing read the image states of.

        Attention is causal, so these are also the image's states in every longer
        conversation that begins with it.
        """
        return self.render([{"role": "user", "content": [{"type": "image"}]}], [grid])

    def say(self, caption: str) -> chat.Row:
        """Only a caption, its tokens marked: what retrieval reads text states of."""
        part = {"type": "text", "text": caption, "capture": True}
        return self.render([{"role": "user", "content": [part]}])

    def document(
        self, parts: Sequence[Any], grids: Sequence[chat.Grid] = ()
    ) -> chat.Row:
        """Words and pictures without roles; every word is to be learnt."""
        merge = self.config.merge
        return chat.document(self.llm, parts, grids, merge, self.template)

    def _turn(
        self, content: list[Any], reply: Any, grids: Sequence[chat.Grid] = ()
    ) -> chat.Row:
        messages = [{"role": "user", "content": content}]
        if reply is not None:
            messages.append({"role": "assistant", "content": reply})
        return self.render(messages, grids, answer=reply is None)

    def drawable(self, caption: str) -> str:
        """As many leading words as both the aligner's memory and mT5 have room for."""
        frame = len(self.mt5.prefix) + len(self.mt5.suffix)
        read = shorten.to_tokens(self.llm, caption, self.config.memory_length)
        return shorten.to_tokens(self.mt5, read, self.config.t5_length - frame)

    # --- pictures ---------------------------------------------------------------

    @functools.cached_property
    def layout(self) -> layouts.Shown:
        """What the tower is shown of a picture."""
        return layouts.named(self.config.layout, self.config)

    def look_at(self, image: np.ndarray) -> rows.Picture:
        """uint8 [H, W, 3] -> (patches [P, D] float32, grid); see `layouts`."""
        return self.patches(self.layout(image))

    def grid(self, height: int, width: int) -> chat.Grid:
        """(t, h, w) in patches of `look_at` of a picture of that size.

        Raises:
          BridgeError: the layout refuses such a picture.
        """
        frames, tall, wide = self.layout.shape(height, width)
        return frames, tall // self.config.patch, wide // self.config.patch

    def patches(self, frames: np.ndarray) -> rows.Picture:
        """Frames uint8 [F, h, w, 3] of one picture -> as `look_at`, grid (F, ...)."""
        c = self.config
        shown = np.repeat(frames, c.temporal, axis=0)
        return patches.to_patches(shown, c.patch, c.temporal, c.merge)

    def watch(self, frames: np.ndarray, most: int) -> rows.Picture:
        """uint8 [F, H, W, 3] of a video -> as `look_at`, in at most `most` patches.

        Frames keep their aspect ratio and the limits of single pictures. Raises
        BridgeError for shapes that are refused.
        """
        c = self.config
        _, tall, wide = self.video_grid(*frames.shape[:3], most)
        size = tall * c.patch, wide * c.patch
        shown = np.stack([images.resize(frame, *size) for frame in frames])
        return patches.to_patches(shown, c.patch, c.temporal, c.merge)

    def video_grid(self, frames: int, height: int, width: int, most: int) -> chat.Grid:
        """(t, h, w) in patches of `watch`. Raises BridgeError as that does."""
        c = self.config
        time = -(-frames // c.temporal)
        pixels = min(c.max_pixels, most // time * c.patch**2)
        unit = c.patch * c.merge
        if pixels < unit * unit:
            raise BridgeError(
                f"{frames} frames do not fit into {most} patches; take fewer of them"
            )
        least = min(c.min_pixels, pixels)
        tall, wide = images.smart_resize(height, width, unit, least, pixels)
        return time, tall // c.patch, wide // c.patch

    @property
    def patch_width(self) -> int:
        return 3 * self.config.temporal * self.config.patch**2

    # --- fields of a batch ------------------------------------------------------

    def vlm(
        self,
        conversations: Sequence[chat.Row],
        pictures: Sequence[rows.Picture],
        length: int,
        num_patches: int,
    ) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
        """(model fields of one row, response [T] bool, caption [T] bool).

        With `num_patches` 0 the row is text alone and has no vision fields.
        """
        merge = self.config.merge
        fields = rows.language(conversations, length, self.llm.pad_id, merge, self.rule)
        response, caption = fields.pop("response"), fields.pop("caption")
        if not num_patches:
            del fields["image_index"]
        else:
            fields |= rows.vision(pictures, num_patches, self.patch_width, merge)
        return fields, response, caption

    def memory(
        self, marked: np.ndarray, length: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """index [S] int32 and mask [S] bool of the marked positions; see `rows`."""
        return rows.memory(marked, length or self.config.memory_length)

    def seen(
        self, picture: rows.Picture, length: int, num_patches: int
    ) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
        """Fields of a row with one picture alone, and where its tokens stand.

        Returns:
          (model fields, index [N] int32, mask [N] bool) with N the most visual tokens
          that `num_patches` patches can make.
        """
        row = self.look(picture[1])
        fields, _, _ = self.vlm([row], [picture], length, num_patches)
        merged = num_patches // self.config.merge**2
        return fields, *rows.memory(fields["image_index"] >= 0, merged)

    def texts(self, t5: str, bert: str, strict: bool = False) -> dict[str, np.ndarray]:
        """t5_tokens, t5_mask, bert_tokens, bert_mask of one row."""
        out = {}
        sides = (
            ("t5", self.mt5, t5, self.config.t5_length),
            ("bert", self.bert, bert, self.config.bert_length),
        )
        for name, tokenizer, text, length in sides:
            ids, mask = text_encoding.encode(tokenizer, [text], length, strict=strict)
            out |= {f"{name}_tokens": ids[0], f"{name}_mask": mask[0]}
        return out


def _caption(text: str | None) -> list[dict[str, str]] | None:
    return None if text is None else [{"type": "caption", "text": text}]
