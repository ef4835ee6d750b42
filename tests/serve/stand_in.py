"""A backend that answers at once, or when it is told to, and needs no model."""

import base64
import dataclasses
import io
import threading

import numpy as np
from PIL import Image

from bridge_jax.core.errors import BridgeError
from bridge_jax.serve import backend as backend_lib
from bridge_jax.serve import pictures

SIDE = 8


@dataclasses.dataclass
class Scored:
    text: str
    log_probability: float = -0.5
    others: tuple = ()


@dataclasses.dataclass
class Answer:
    text: str
    tokens: list[int]
    finish: str
    prompt_tokens: int
    reused: int = 0


@dataclasses.dataclass
class Piece:
    text: str
    logprobs: list[Scored] | None


class Reply:
    """Says the words of a text, one a token."""

    def __init__(self, owner, words, ask):
        self._owner, self._count, self._logprobs = owner, len(words), ask.logprobs
        self._words = words[: ask.max_tokens]
        self.cancelled = False

    def __iter__(self):
        for word in self._words:
            self._owner.wait()
            if self.cancelled:
                return
            yield Piece(word, self._scored(word))

    def result(self):
        words = self._words
        finish = "stop" if len(words) == self._count else "length"
        return Answer("".join(words), [0] * len(words), finish, self._count)

    def cancel(self):
        self.cancelled = True
        self._owner.cancelled += 1

    def _scored(self, word):
        if self._logprobs is None:
            return None
        return [Scored(word, others=tuple([Scored(word)] * self._logprobs))]


class StandIn:
    """Repeats what it is told, and draws grey pictures.

    Attributes:
      asked: everything that it was asked.
      hold: while set, everything waits for `release`.
    """

    tasks = frozenset(backend_lib.TASKS)
    size = (SIDE, SIDE)

    def __init__(self):
        self.asked, self.cancelled, self.running, self.most = [], 0, 0, 0
        self._go = threading.Event()
        self._go.set()
        self._lock = threading.Lock()

    def hold(self):
        self._go.clear()

    def release(self):
        self._go.set()

    def wait(self):
        assert self._go.wait(20)

    def chat(self, ask):
        self._note(ask)
        text = "".join(
            part.get("text", "<picture>")
            for message in ask.messages
            for part in message["content"]
        )
        if "bridge error" in text:
            raise BridgeError("too long: the file /somewhere/secret/file.txt has it")
        if "bug" in text:
            raise RuntimeError("/somewhere/secret")
        pictures.decoded(ask.pictures)
        words = [f"{word} " for word in text.split(" ")]
        return [Reply(self, words, ask) for _ in range(ask.n)]

    def draw(self, wish, show, every):
        self._note(wish)
        if wish.size not in (None, "source", self.size):
            raise BridgeError(f"size {wish.size} cannot be drawn")
        if wish.picture is not None:
            pictures.decoded([wish.picture])
        images = np.full((wish.n, SIDE, SIDE, 3), 127, np.uint8)
        steps = wish.choices["steps"]
        for step in range(1, steps + 1):
            self.wait()
            if step % every == 0:
                show(step, steps, images)
        return backend_lib.Drawn(images, f"a caption of {wish.prompt}")

    def embed(self, texts, seen):
        self._note((texts, seen))
        self.wait()
        made = [[len(text), 0.0, 1.0] for text in texts]
        made += [[0.0, picture[0, 0, 0], 1.0] for picture in pictures.decoded(seen)]
        return len(texts), np.array(made, np.float32)

    def close(self):
        self.release()

    def _note(self, what):
        with self._lock:
            self.asked.append(what)


def picture(height=SIDE, width=SIDE, level=200):
    """A PNG's bytes."""
    file = io.BytesIO()
    Image.new("RGB", (width, height), (level, 10, 10)).save(file, "PNG")
    return file.getvalue()


def data_url(data=None):
    data = picture() if data is None else data
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


def says(text, *urls):
    """Messages of one question with pictures."""
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return [{"role": "user", "content": [*parts, {"type": "text", "text": text}]}]
