"""Conversations that others wrote down -> messages of `data/chat.py` and pictures.

    {"messages": [{"role": "user", "content": "<image>What is it?"},
                  {"role": "assistant", "content": "A cat."}], "images": ["a.jpg"]}
    {"conversations": [{"from": "human", "value": "<image>\\nWhat is it?"},
                       {"from": "gpt", "value": "A cat."}], "image": "a.jpg"}

The first is what Qwen's and ms-swift's tools write (content may also be a list of
parts, {"type": "image"} and {"type": "text", "text": ...}), the second LLaVA's. Where
a record has pictures, each <image> in what the user says stands for the next of them,
and where it has "videos", each <video>; without them the marks stay text.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bridge_jax.data import chat, fields, images
from bridge_jax.data.faults import Faults
from bridge_jax.data.forms import pictures, words

MARKS = {"image": "<image>", "video": "<video>"}
_NAMES = {"human": "user", "gpt": "assistant"}


@dataclasses.dataclass(frozen=True)
class Conversation:
    """Messages, the pictures and videos that they show, and what was said."""

    messages: tuple[chat.Message, ...]
    images: tuple[images.Source, ...]
    videos: tuple[Path, ...] = ()

    @property
    def shown(self) -> tuple[str, ...]:
        """ "image" or "video" of each, in order of appearance."""
        parts = (part for message in self.messages for part in message["content"])
        return tuple(part["type"] for part in parts if part["type"] in MARKS)

    @property
    def replies(self) -> str:
        """All words of the assistant, one reply after the other."""
        said = [m["content"] for m in self.messages if m["role"] == "assistant"]
        return "".join(_words(content) for content in said)


def read(
    record: Mapping[str, Any], homes: Sequence[str | Path], where: str, found: Faults
) -> Conversation:
    """The conversation of a record; what is wrong with it goes to `found`.

    Args:
      homes: folders that the pictures are named from.
    """
    names = _listed(record, "image", pictures.SUFFIXES)
    films = _listed(record, "video")
    seen = tuple(pictures.read(name, homes, where, found) for name in names)
    videos = tuple(fields.picture(name, homes, where, found) for name in films)
    marks = [MARKS[kind] for kind, some in (("image", seen), ("video", videos)) if some]
    messages = []
    for number, (role, content) in enumerate(_turns(record, where, found)):
        place = f"{where}: message {number}"
        if role not in chat.ROLES:
            found.add(place, f"role {role!r} is none of {', '.join(chat.ROLES)}")
        parts = _parts(content, marks if role == "user" else [])
        if parts is None:
            found.add(place, "its content is neither text nor parts of text and image")
        else:
            words.check("".join(_words(parts)), place, found)
            messages.append({"role": role, "content": parts})
    made = Conversation(tuple(messages), seen, videos)
    for kind, given in (("image", seen), ("video", videos)):
        shown = made.shown.count(kind)
        if shown != len(given):
            found.add(where, f"{shown} {kind}s are mentioned and {len(given)} given")
    if not made.replies.strip():
        found.add(where, "the assistant says nothing")
    return made


def _listed(
    record: Mapping[str, Any], kind: str, others: Sequence[str] = ()
) -> list[Any]:
    """What stands under "images" or "image", or else under other names."""
    given = record.get(f"{kind}s", record.get(kind))
    if given is None:
        given = [record[name] for name in others if name in record]
    return given if isinstance(given, list) else [given]


def _turns(
    record: Mapping[str, Any], where: str, found: Faults
) -> list[tuple[Any, Any]]:
    """(role, content) of each message, under our names of the roles."""
    for name, role, content in (
        ("messages", "role", "content"),
        ("conversations", "from", "value"),
    ):
        listed = record.get(name)
        if isinstance(listed, list) and all(isinstance(one, dict) for one in listed):
            said = [(one.get(role), one.get(content)) for one in listed]
            return [(_NAMES.get(str(who), who), words) for who, words in said]
    found.add(where, "has neither 'text' nor a list of 'messages' or 'conversations'")
    return []


def _parts(content: Any, marks: Sequence[str]) -> list[dict[str, str]] | None:
    """Parts of text, images and videos, or None for what is neither."""
    if isinstance(content, str):
        kinds = {mark: kind for kind, mark in MARKS.items()}
        cuts = re.compile("|".join(f"({re.escape(mark)})" for mark in marks) or "(?!)")
        pieces = [piece for piece in cuts.split(content) if piece]
        return [
            {"type": kinds[piece]}
            if piece in marks
            else {"type": "text", "text": piece}
            for piece in pieces
        ]
    if not isinstance(content, list):
        return None
    made = []
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind in MARKS:
            made.append({"type": kind})
        elif kind == "text" and isinstance(part.get("text"), str):
            made.append({"type": "text", "text": part["text"]})
        else:
            return None
    return made


def _words(content: Sequence[Mapping[str, str]]) -> str:
    return "".join(part["text"] for part in content if part["type"] == "text")
