"""Conversations that others wrote down -> messages of `data/chat.py` and pictures.

    {"messages": [{"role": "user", "content": "<image>What is it?"},
                  {"role": "assistant", "content": "A cat."}], "images": ["a.jpg"]}
    {"conversations": [{"from": "human", "value": "<image>\\nWhat is it?"},
                       {"from": "gpt", "value": "A cat."}], "image": "a.jpg"}

The first is what Qwen's and ms-swift's tools write (content may also be a list of
parts, {"type": "image"} and {"type": "text", "text": ...}), the second LLaVA's. Where
a record has pictures, each <image> in what the user says stands for the next of them;
without pictures it stays text.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bridge_jax.data import chat, images
from bridge_jax.data.faults import Faults
from bridge_jax.data.forms import pictures, words

MARK = "<image>"
_NAMES = {"human": "user", "gpt": "assistant"}


@dataclasses.dataclass(frozen=True)
class Conversation:
    """Messages, the pictures that they show, and what was said."""

    messages: tuple[chat.Message, ...]
    images: tuple[images.Source, ...]

    @property
    def replies(self) -> str:
        """All words of the assistant, one reply after the other."""
        said = [m["content"] for m in self.messages if m["role"] == "assistant"]
        return "".join(_words(content) for content in said)


def read(
    record: Mapping[str, Any], homes: Sequence[Path], where: str, found: Faults
) -> Conversation:
    """The conversation of a record; what is wrong with it goes to `found`.

    Args:
      homes: folders that the pictures are named from.
    """
    names = _pictures(record)
    seen = tuple(pictures.read(name, homes, where, found) for name in names)
    messages = []
    for number, (role, content) in enumerate(_turns(record, where, found)):
        place = f"{where}: message {number}"
        if role not in chat.ROLES:
            found.add(place, f"role {role!r} is none of {', '.join(chat.ROLES)}")
        parts = _parts(content, marks=bool(names) and role == "user")
        if parts is None:
            found.add(place, "its content is neither text nor parts of text and image")
        else:
            words.check("".join(_words(parts)), place, found)
            messages.append({"role": role, "content": parts})
    made = Conversation(tuple(messages), seen)
    shown = sum(p["type"] == "image" for m in messages for p in m["content"])
    if shown != len(seen):
        found.add(where, f"{shown} images are mentioned and {len(seen)} given")
    if not made.replies.strip():
        found.add(where, "the assistant says nothing")
    return made


def _pictures(record: Mapping[str, Any]) -> list[Any]:
    given = record.get("images", record.get("image"))
    if given is None:
        given = [record[name] for name in pictures.SUFFIXES if name in record]
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


def _parts(content: Any, marks: bool) -> list[dict[str, str]] | None:
    """Parts of text and images, or None for what is neither."""
    if isinstance(content, str):
        pieces = content.split(MARK) if marks else [content]
        parts = [{"type": "text", "text": piece} for piece in pieces]
        parts = [one for part in parts for one in ({"type": "image"}, part)][1:]
        return [p for p in parts if p["type"] == "image" or p["text"]]
    if not isinstance(content, list):
        return None
    made = []
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "image":
            made.append({"type": "image"})
        elif kind == "text" and isinstance(part.get("text"), str):
            made.append({"type": "text", "text": part["text"]})
        else:
            return None
    return made


def _words(content: Sequence[Mapping[str, str]]) -> str:
    return "".join(part["text"] for part in content if part["type"] == "text")
