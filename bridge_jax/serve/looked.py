"""Pictures are described before anything is asked of them, where a model does so.

As in `inference/looking.py`, for conversations of several turns: where pictures stand
in a message, the model's own description follows them in a turn of its own.
"""

import collections
import hashlib
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bridge_jax.data.processor import Processor
from bridge_jax.inference import live

_KEPT = 256  # descriptions: the turns of a conversation come one by one
_MARKS = 16  # tokens beside a caption's


class Looked:
    """Descriptions of pictures, as the model gives them."""

    def __init__(self, processor: Processor, asked: live.Live):
        self._words, self._asked = processor.words, asked
        self._most = processor.config.memory_length + _MARKS
        self._said: collections.OrderedDict[bytes, str] = collections.OrderedDict()
        self._lock = threading.Lock()

    def at(
        self, messages: Sequence[Mapping[str, Any]], pictures: Sequence[np.ndarray]
    ) -> list[Mapping[str, Any]]:
        """The conversation with its pictures described.

        Args:
          messages: content in parts, as of `data/chat.py`.
          pictures: uint8 [H, W, 3] each, in the order in which they are mentioned.
        """
        if not self._words.look_first:
            return list(messages)
        made: list[Mapping[str, Any]] = []
        left = iter(pictures)
        for message in messages:
            shown = [part for part in message["content"] if part["type"] == "image"]
            if not shown or message["role"] != "user":
                made.append(message)
                continue
            asked = [*shown, {"type": "text", "text": self._words.describe}]
            seen = [next(left) for _ in shown]
            said = [{"type": "text", "text": self._described(asked, seen)}]
            made += [
                {"role": "user", "content": asked},
                {"role": "assistant", "content": said},
            ]
            words = [part for part in message["content"] if part["type"] != "image"]
            made.append({"role": "user", "content": words})
        return made

    def _described(self, asked: list[Any], seen: list[np.ndarray]) -> str:
        digest = hashlib.sha256()
        for picture in seen:
            digest.update(b"%d %d " % picture.shape[:2] + picture.tobytes())
        name = digest.digest()
        with self._lock:
            if name in self._said:
                self._said.move_to_end(name)
                return self._said[name]
        choice = live.Choice(max_new_tokens=self._most)
        messages = [{"role": "user", "content": asked}]
        text = self._asked.ask(messages, seen, choice=choice).result().text
        with self._lock:
            self._said[name] = text
            while len(self._said) > _KEPT:
                self._said.popitem(last=False)
        return text
