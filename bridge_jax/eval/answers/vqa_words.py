"""One spelling for answers that mean the same, by the rules of VQA's evaluation.

Lower case; punctuation goes, or becomes a space where it joins words; a full stop goes
unless a digit follows it; number words up to ten become digits; articles go;
contractions written without their apostrophe get it ("dont" -> "don't").
"""

import re

_MARKS = ';/[]"{}()=+\\_-><@`,?!'
_THOUSANDS = re.compile(r"\d,\d")
_FULL_STOP = re.compile(r"\.(?!\d)")
_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight")
_NUMBERS += ("nine", "ten")
_DIGITS = {word: str(value) for value, word in enumerate(_NUMBERS)} | {"none": "0"}
_ARTICLES = {"a", "an", "the"}

# Left alone, as in the published list, is what without its apostrophe is another word:
# well, hell, shell, ill, id, its, lets, shed, wed, were, whore.
_ENDINGS = {
    "n't": "ai are ca could did does do had has have is might must need ought sha"
    " should was were wo would",
    "'ve": "could i might must should they we what where who would you",
    "'re": "there they what why you",
    "'ll": "how it somebody someone something they what who why you",
    "'d": "he how it somebody someone something there they where who you",
    "'s": "he how somebody someone that there what when where who why",
    "n't've": "could had might should would",
    "'d've": "he i it she somebody someone something there they we who you",
    "'m": "i",
}


def _contractions() -> dict[str, str]:
    """Spelling without one or all of its apostrophes -> the right one."""
    found = {"maam": "ma'am", "oclock": "o'clock", "twas": "'twas", "yall": "y'all"}
    for ending, stems in _ENDINGS.items():
        for stem in stems.split():
            word = stem + ending
            pieces = word.split("'")
            found["".join(pieces)] = word
            for cut in range(len(pieces) - 1):
                left, right = pieces[: cut + 1], pieces[cut + 1 :]
                found["'".join(left) + "'".join(right)] = word
    return found


_CONTRACTIONS = _contractions()


def plain(answer: str) -> str:
    """The spelling that answers are compared in."""
    text = " ".join(_without_marks(" ".join(answer.split())).lower().split())
    words = (_DIGITS.get(word, word) for word in text.split())
    kept = (word for word in words if word not in _ARTICLES)
    return " ".join(_CONTRACTIONS.get(word, word) for word in kept)


def _without_marks(answer: str) -> str:
    text, has_thousands = answer, _THOUSANDS.search(answer) is not None
    for mark in _MARKS:
        # By the text as it came: what earlier marks became does not matter.
        at_edge = f"{mark} " in answer or f" {mark}" in answer
        text = text.replace(mark, "" if at_edge or has_thousands else " ")
    return _FULL_STOP.sub("", text)
