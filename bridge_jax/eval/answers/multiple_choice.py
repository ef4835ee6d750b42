"""Right is the option that the answer names, by its letter or in its words.

Looked for in this order, in what follows the last "answer is" if there is one:
  1. nothing but the words of an option;
  2. a letter first: "B", "(B)", "B.", "B) the cat", "B: the cat";
  3. the words of exactly one option somewhere ("red" inside "dark red" is not meant);
  4. exactly one letter in brackets somewhere: "I take (B)".
What names no option, or several, is wrong.
"""

import dataclasses
import re
from collections.abc import Sequence

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_MARKER = re.compile(r"\banswer\s+is\s*:?", re.IGNORECASE)
_FIRST = re.compile(r"\(?([A-Za-z])\)?$|\(([A-Za-z])\)|([A-Z])[).:,](?:\s|$)")
_BRACKETED = re.compile(r"\(([A-Z])\)")


@dataclasses.dataclass(frozen=True)
class Metric:
    """See the module's text."""

    def lacks(self, answers: Sequence[str], choices: Sequence[str]) -> str:
        """What an item needs before it can be judged; "" for nothing."""
        if not choices:
            return "multiple_choice needs 'choices'"
        strange = [one for one in answers if option(one, choices) is None]
        if strange:
            return f"the answer {strange[0]!r} is neither an option nor its letter"
        return ""

    def __call__(
        self, given: str, answers: Sequence[str], choices: Sequence[str]
    ) -> float:
        """1 or 0."""
        right = {option(answer, choices) for answer in answers}
        return float(chosen(given, choices) in right)


def option(answer: str, choices: Sequence[str]) -> int | None:
    """Number of the option that has these words, or else this letter."""
    words = [_plain(choice) for choice in choices]
    if _plain(answer) in words:
        return words.index(_plain(answer))
    letter = answer.strip().upper()
    number = LETTERS.find(letter) if len(letter) == 1 else -1
    return number if 0 <= number < len(choices) else None


def chosen(given: str, choices: Sequence[str]) -> int | None:
    """Number of the option that an answer in free words names, or None."""
    # Stars make letters bold: "**B**".
    text = _MARKER.split(given)[-1].replace("*", "").strip().rstrip(".:,")
    for look in (_whole, _letter_first, _words_within, _bracketed):
        number = look(text, choices)
        if number is not None:
            return number
    return None


def _whole(text: str, choices: Sequence[str]) -> int | None:
    words = [_plain(choice) for choice in choices]
    return words.index(_plain(text)) if _plain(text) in words else None


def _letter_first(text: str, choices: Sequence[str]) -> int | None:
    found = _FIRST.match(text)
    return _number(next(g for g in found.groups() if g), choices) if found else None


def _words_within(text: str, choices: Sequence[str]) -> int | None:
    within = [f" {_plain(choice)} " for choice in choices]
    said = f" {_plain(text)} "
    # Longer options first: what they cover does not count for the shorter.
    seen = []
    for words in sorted(within, key=len, reverse=True):
        if words.strip() and words in said:
            seen.append(words)
            said = said.replace(words, " | ")
    return within.index(seen[0]) if len(seen) == 1 else None


def _bracketed(text: str, choices: Sequence[str]) -> int | None:
    found = {_number(letter, choices) for letter in _BRACKETED.findall(text)} - {None}
    return found.pop() if len(found) == 1 else None


def _number(letter: str, choices: Sequence[str]) -> int | None:
    number = LETTERS.index(letter.upper())
    return number if number < len(choices) else None


def _plain(text: str) -> str:
    """Lower case, words apart by one space, no punctuation around them."""
    words = (word.strip(".,;:!?\"'()[]*") for word in text.lower().split())
    return " ".join(word for word in words if word)
