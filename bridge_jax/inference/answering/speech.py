"""Tokens to text as they come, up to a stop string, with nothing taken back later.

No piece holds half of a letter, or the beginning of what may become a stop string; the
pieces together are the text of the answer. T tokens.
"""

import bisect
from collections.abc import Iterable, Sequence

from bridge_jax.data.tokens import Tokenizer

_HALF = "\N{REPLACEMENT CHARACTER}"  # what a letter's first bytes are decoded to
_WINDOW = 32  # tokens that are decoded again with each new one, at most twice


class Speech:
    """The text of one answer.

    Attributes:
      tokens: all that was heard, up to what completed a stop string.
      stopped: whether there was one.
    """

    def __init__(self, tokenizer: Tokenizer, stop: Sequence[str] = ()):
        self.tokens: list[int] = []
        self._tokenizer, self._stop = tokenizer, tuple(stop)
        self._text = _Text(tokenizer)
        self._ends: list[int] = []  # letters after each token
        self._cut: int | None = None  # where a stop string begins
        self._given = 0  # letters that were given, or skipped at the beginning
        self._told = 0  # tokens that were given
        self._over = False

    @property
    def stopped(self) -> bool:
        return self._cut is not None

    def hear(self, tokens: Iterable[int]) -> tuple[str, tuple[int, ...]]:
        """More tokens: the text, and the tokens of it, that are certain by now."""
        for token in tokens:
            if self.stopped:
                break
            self.tokens.append(int(token))
            self._text.add(int(token))
            self._ends.append(len(self._text.certain))
            self._look_for_stops()
        return self._give()

    def end(self) -> tuple[str, tuple[int, ...]]:
        """What is left once there are no more tokens."""
        self._over = True
        if not self.stopped:
            self._look_for_stops()
        return self._give()

    def kept(self) -> tuple[str, list[int]]:
        """The whole answer after `end`: its text, and the tokens of it."""
        count = len(self.tokens) if self._cut is None else self._reaching(self._cut)
        return self._raw[: self._cut].strip(), self.tokens[:count]

    @property
    def _raw(self) -> str:
        return self._text.whole if self._over else self._text.certain

    def _look_for_stops(self) -> None:
        # What was given holds no part of one.
        found = [self._raw.find(one, self._given) for one in self._stop]
        self._cut = min((place for place in found if place >= 0), default=None)

    def _give(self) -> tuple[str, tuple[int, ...]]:
        raw = self._raw[: self._cut]
        if not self._over and self._cut is None:
            raw = raw[: len(raw) - _held(raw, self._stop)]
        end = len(raw.rstrip())
        begin = max(self._given, len(raw) - len(raw.lstrip()))
        text = raw[begin:end]
        if text:
            self._given = end
        told = self._reaching(self._given) if self._given else 0
        if self._over:
            told = len(self.kept()[1])
        tokens = tuple(self.tokens[self._told : told])
        self._told = max(told, self._told)
        return text, tokens

    def _reaching(self, letters: int) -> int:
        """How many tokens it takes to say so many letters."""
        return bisect.bisect_left(self._ends, letters) + 1 if letters else 0


class _Text:
    """The text of tokens, decoded a window at a time.

    A window begins where a letter ends. One before it is decoded along, since some
    tokenizers drop a space in front of the first token.
    """

    def __init__(self, tokenizer: Tokenizer):
        self._tokenizer = tokenizer
        self._before: list[int] = []
        self._window: list[int] = []
        self._settled = ""
        self.whole = ""

    @property
    def certain(self) -> str:
        """Without what may yet become a letter."""
        return self.whole.rstrip(_HALF)

    def add(self, token: int) -> None:
        self._window.append(token)
        known = len(self._tokenizer.decode(self._before))
        text = self._tokenizer.decode(self._before + self._window)[known:]
        self.whole = self._settled + text
        if len(self._window) >= _WINDOW and not self.whole.endswith(_HALF):
            self._settled = self.whole
            self._before, self._window = self._window, []


def _held(text: str, stop: Sequence[str]) -> int:
    """Letters at the end of `text` that may begin one of `stop`."""
    most = 0
    for one in stop:
        for size in range(min(len(one) - 1, len(text)), most, -1):
            if text.endswith(one[:size]):
                most = size
                break
    return most
