"""Words of captions as they are compared: after the Penn Treebank's habits.

COCO's caption scores are taken over the tokens of Stanford's PTBTokenizer, lower-cased
and without punctuation. Here its habits are written as one expression: clitics are
words of their own ("don't" -> do n't, "dog's" -> dog 's, "cannot" -> can not); numbers
keep inner points, commas and colons; words keep inner hyphens, points, slashes,
ampersands and apostrophes ("black-and-white", "u.s.", "o'clock"); everything that holds
neither letter nor digit is dropped. Rare spellings (fractions, web addresses, smileys)
may be cut elsewhere than there, which moves a score by little.
"""

import re
import unicodedata

_CLITICS = re.compile(r"(?<=\w)(n't|'(?:s|m|d|ll|re|ve))(?![\w'])")
_FUSED = re.compile(r"\b(can)(not)\b|\b(gon|wan)(na)\b|\b(got)(ta)\b|\b(gim|lem)(me)\b")
_WORD = re.compile(
    r"n't|'(?:s|m|d|ll|re|ve)(?![\w'])"  # clitics, set apart before
    r"|\d+(?:[.,:/]\d+)+"  # 1,000  3.5  10:30  1/2
    r"|(?:\w\.){2,}"  # u.s.
    r"|\w+(?:[-./&'_]\w+)*"
)


def words(text: str) -> list[str]:
    """Lower-case tokens without punctuation."""
    text = unicodedata.normalize("NFC", text).lower()
    text = text.replace("\u2019", "'").replace("\u2018", "'")
    text = _FUSED.sub(lambda m: " ".join(part for part in m.groups() if part), text)
    return _WORD.findall(_CLITICS.sub(r" \1 ", text))
