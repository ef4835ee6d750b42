"""Conversations of others, as LLaVA and Qwen's tools write them, with their pictures.

    c.streams.main = dict(source="conversations", batch=128, length=2048,
        num_patches=576, data="llava_v1_5_mix665k.json", images="images")

See `data/forms/conversation.py` for the forms and `data/sources` for the files.
`packed_conversations` puts several into a row.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bridge_jax.data import chat
from bridge_jax.data.forms import conversation
from bridge_jax.data.records import segment_stream
from bridge_jax.data.records.rejects import Useless
from bridge_jax.data.records.segment_stream import Grids


@dataclasses.dataclass(frozen=True)
class Stream(segment_stream.SegmentStream):
    """Row: vlm {...}, targets [T], loss_mask [T]: what the assistant says.

    Last turns that do not fit are left out.
    """

    def read(self, where: str, record: Mapping[str, Any]) -> conversation.Conversation:
        return self.understood(conversation.read, where, record)

    def fitted(
        self, made: conversation.Conversation, grids: Grids, where: str
    ) -> chat.Row:
        kept, used = [], 0
        shown = dict.fromkeys(grids, 0)
        for turn in _turns(made.messages):
            # Before it is tokenized, which may take long.
            if sum(map(_characters, turn)) > segment_stream.CHARACTERS * self.length:
                break
            stops = {kind: n + _count(turn, kind) for kind, n in shown.items()}
            mine = {kind: grids[kind][shown[kind] : stops[kind]] for kind in shown}
            row = self.processor.render(
                turn, mine["image"], videos=mine["video"], begins=not kept
            )
            if used + len(row.tokens) > self.length:
                break
            kept.append(row)
            used, shown = used + len(row.tokens), stops
        if kept and shown == {kind: len(some) for kind, some in grids.items()}:
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


def _count(turn: Sequence[chat.Message], kind: str) -> int:
    return sum(part["type"] == kind for message in turn for part in message["content"])


def _characters(message: chat.Message) -> int:
    return sum(len(part.get("text", "")) for part in message["content"])
