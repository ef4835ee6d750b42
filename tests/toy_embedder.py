"""A model that embeds by colour and by words, and can be stopped."""

import hashlib

import numpy as np

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import images as images_lib

LONGEST = 40  # letters of a text


class Killed(BaseException):
    """As a signal: nothing catches it."""


class Embedder:
    """float32 [N, 8] of length 1; batches change the last bits, as on real machines.

    Attributes:
      fingerprint: as of a model.
      left: calls of `embed` before it is killed.
      seen: how many pictures and texts were embedded.
    """

    def __init__(self, fingerprint="toy", left=10**9):
        self.fingerprint, self.left, self.seen = fingerprint, left, 0

    def embed(self, images=None, texts=None):
        self.left -= 1
        if self.left < 0:
            raise Killed
        rows = [_of_text(one) for one in texts or ()]
        rows += [_of_picture(one) for one in images or ()]
        self.seen += len(rows)
        made = np.stack(rows) + 1e-6 * len(rows)
        made /= np.linalg.norm(made, axis=1, keepdims=True)
        return made.astype(np.float32)


def _of_text(text):
    if len(text) > LONGEST:
        raise BridgeError(f"a text has {len(text)} letters")
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
    return np.random.default_rng(seed).normal(size=8)


def _of_picture(value):
    pixels = images_lib.open_image(value)
    return np.append(pixels.mean(axis=(0, 1)) / 255 + 0.1, [0.1, 0.2, 0.3, 0.4, 0.5])
