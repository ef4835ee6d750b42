"""Conversations of others, as LLaVA and Qwen's tools write them, with their pictures.

    c.streams.main = dict(source="conversations", batch=128, length=2048,
        num_patches=576, data="llava_v1_5_mix665k.json", images="images")

See `data/forms/conversation.py` for the forms and `data/sources` for the files.
`packed_conversations` puts several into a row.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import chat, record_stream, rows
from bridge_jax.data.forms import conversation
from bridge_jax.data.record_stream import Row
from bridge_jax.data.rejects import Useless

CHARACTERS = 64  # a token; what has more for each that fits is not even tokenized


@dataclasses.dataclass(frozen=True)
class Stream(record_stream.RecordStream):
    """Row: vlm {...}, targets [T], loss_mask [T] float32.

    Attributes:
      length: T; last turns that do not fit are left out.
      num_patches: P, of all pictures of a conversation; 0 for text alone.
      evenness: see `rows.weigh_replies`; 0 as LLaVA has it, every token alike.
    """

    length: int = 2048
    num_patches: int = 576
    evenness: float = 0.0

    def row(self, where: str, record: Mapping[str, Any]) -> Row:
        return self.packed([self.segment(where, record)])

    def segment(
        self, where: str, record: Mapping[str, Any]
    ) -> tuple[chat.Row, list[rows.Picture]]:
        """The conversation of a record, as much as fits, and its pictures.

        Raises:
          Useless: it is none, or none that fits.
        """
        made = self.understood(conversation.read, where, record)
        pictures = []
        for one in made.images:
            image = self.opened(one, where)
            pictures.append(self._looked_at(image, where))
        self.check_patches(sum(len(patches) for patches, _ in pictures), where)
        return self.fitted(made, [grid for _, grid in pictures], where), pictures

    def packed(
        self, segments: Sequence[tuple[chat.Row, Sequence[rows.Picture]]]
    ) -> Row:
        """A row of conversations that fit together."""
        seen = [picture for _, pictures in segments for picture in pictures]
        out, response, _ = self.processor.vlm(
            [one for one, _ in segments], seen, self.length, self.num_patches
        )
        weights = rows.weigh_replies(response, self.evenness)
        return {"vlm": out, "targets": out["tokens"], "loss_mask": weights}

    def _looked_at(self, image, where: str) -> rows.Picture:
        try:
            return self.processor.look_at(image)
        except BridgeError as error:  # a shape that the layout refuses
            raise Useless("picture", f"{where}: {error}") from None

    def check_patches(self, patches: int, where: str) -> None:
        """Raises Useless if they do not fit."""
        if patches > self.num_patches:
            raise Useless(
                "length", f"{where}: {patches} patches, and {self.num_patches} fit"
            )

    def fitted(
        self, made: conversation.Conversation, grids: Sequence[chat.Grid], where: str
    ) -> chat.Row:
        """As many turns as fit; all pictures, of `grids`, must be among them.

        Raises:
          Useless: not one does.
        """
        kept, used, shown = [], 0, 0
        for turn in _turns(made.messages):
            # Before it is tokenized, which may take long.
            if sum(map(_characters, turn)) > CHARACTERS * self.length:
                break
            count = sum(map(_pictures, turn))
            row = self.processor.render(
                turn, grids[shown : shown + count], begins=not kept
            )
            if used + len(row.tokens) > self.length:
                break
            kept.append(row)
            used, shown = used + len(row.tokens), shown + count
        if kept and shown == len(grids):
            return chat.follow(kept)
        what = "its pictures and their turns do not fit" if kept else "no turn fits"
        raise Useless("length", f"{where}: {what} into {self.length} tokens")


def _turns(messages: Sequence[chat.Message]) -> Iterator[list[chat.Message]]:
    """Messages up to each reply; what nobody replied to is left out."""
    turn = []
    for message in messages:
        turn.append(message)
        if message["role"] == "assistant":
            yield turn
            turn = []


def _pictures(message: chat.Message) -> int:
    return sum(part["type"] == "image" for part in message["content"])


def _characters(message: chat.Message) -> int:
    return sum(len(part.get("text", "")) for part in message["content"])
