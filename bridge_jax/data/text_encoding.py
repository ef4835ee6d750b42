"""Fixed-length ids for the decoder's text encoders (mT5: 256, BERT: 77)."""

from collections.abc import Sequence

import numpy as np

from bridge_jax.core.errors import BridgeError
from bridge_jax.data.tokens import Tokenizer


def encode(
    tokenizer: Tokenizer, texts: Sequence[str], length: int, strict: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Encode texts to exactly `length` ids each, framed as the tokenizer frames them.

    A text that does not fit loses its last tokens and keeps its frame ([SEP], </s>),
    as Hugging Face's `truncation=True, padding="max_length"` does. With `strict` it is
    refused instead: use that for what a user typed.

    Args:
      texts: B texts.
      length: L, the frame included.
      strict: raise instead of cutting.

    Returns:
      ids [B, L] int32 and mask [B, L] bool, True on tokens, False on padding.

    Raises:
      BridgeError: with `strict`, naming every text that is too long; or no room for
        the frame.
    """
    room = length - len(tokenizer.prefix) - len(tokenizer.suffix)
    if room < 1:
        raise BridgeError(
            f"text length {length} leaves no room beside the frame of {tokenizer.name};"
            f" use at least {length - room + 1}"
        )
    rows = tokenizer.encode_texts(texts)
    if strict:
        _refuse_long(texts, rows, room)
    ids = np.full((len(rows), length), tokenizer.pad_id or 0, np.int32)
    mask = np.zeros((len(rows), length), bool)
    for i, row in enumerate(rows):
        framed = (*tokenizer.prefix, *row[:room], *tokenizer.suffix)
        ids[i, : len(framed)] = framed
        mask[i, : len(framed)] = True
    return ids, mask


def _refuse_long(texts: Sequence[str], rows: list[list[int]], room: int) -> None:
    long = [
        f"{text[:40]!r}... has {len(row)} tokens"
        for text, row in zip(texts, rows, strict=True)
        if len(row) > room
    ]
    if long:
        raise BridgeError(
            f"text too long, at most {room} tokens fit: {'; '.join(long)}; shorten it"
        )
