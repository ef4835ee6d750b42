"""Every kind of work done once before clients come: the first of each compiles."""

import io
from collections.abc import Callable

import numpy as np
import PIL.Image

from bridge_jax.core import log
from bridge_jax.serve.backend import Ask, Backend, Wish

_WORDS = "what is this?"
_STEPS = {"steps": 2}  # the programs are those of any number


def warm_up(backend: Backend) -> list[str]:
    """Do what `backend` can do, one after another, and return the names of it."""
    some = [task for task in _TASKS if task in backend.tasks]
    for task in log.progress(some, "warming up"):
        _TASKS[task](backend)
    return some


def _chat(backend: Backend) -> None:
    text = {"type": "text", "text": _WORDS}
    for content, seen in (([text], ()), ([{"type": "image"}, text], _picture(backend))):
        ask = Ask([{"role": "user", "content": content}], seen, max_tokens=2)
        for reply in backend.chat(ask):
            reply.result()


def _draw(backend: Backend) -> None:
    backend.draw(Wish(_WORDS, choices=_STEPS), _nobody, 1)


def _edit(backend: Backend) -> None:
    backend.draw(Wish(_WORDS, *_picture(backend), choices=_STEPS), _nobody, 1)


def _embed(backend: Backend) -> None:
    backend.embed([_WORDS], _picture(backend))


def _picture(backend: Backend) -> tuple[bytes]:
    """One grey picture of the size that the model draws, encoded."""
    file = io.BytesIO()
    grey = np.full((*backend.size, 3), 128, np.uint8)
    PIL.Image.fromarray(grey).save(file, "PNG")
    return (file.getvalue(),)


def _nobody(step: int, steps: int, images: np.ndarray) -> None:
    """Nobody looks on."""


_TASKS: dict[str, Callable[[Backend], None]] = {
    "chat": _chat,
    "draw": _draw,
    "edit": _edit,
    "embed": _embed,
}
