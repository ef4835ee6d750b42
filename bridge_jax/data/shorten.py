"""Texts cut to what fits, at a word."""

from collections.abc import Sequence

from bridge_jax.data.tokens import Tokenizer

LETTERS = 32  # a token has at most, in a word that is cut


def to_tokens(tokenizer: Tokenizer, text: str, most: int) -> str:
    """The first words of `text` that make at most `most` tokens together.

    Of a single word that is too long, its first letters; a text that fits stays as it
    is, spaces and all.
    """
    if len(tokenizer.encode_text(text)) <= most:
        return text
    words = text.split()
    kept = _most(tokenizer, words[:most], " ", most)  # a word has a token or more
    return kept or _most(tokenizer, list(words[0][: LETTERS * most]), "", most)


def _most(tokenizer: Tokenizer, pieces: Sequence[str], gap: str, most: int) -> str:
    """As many leading pieces as fit, found by halving."""
    low, high = 0, len(pieces)
    while low < high:
        middle = (low + high + 1) // 2
        if len(tokenizer.encode_text(gap.join(pieces[:middle]))) <= most:
            low = middle
        else:
            high = middle - 1
    return gap.join(pieces[:low])
