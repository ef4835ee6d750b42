"""Words that several language models share: what makes LangBridge's adapter portable.

A word is a text that is one token of every model, space before it and all: " red" and
"red" are two. The same words have other ids in each (arXiv 2503.19404).
"""

import dataclasses
import itertools
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bridge_jax.core.config import suggest
from bridge_jax.core.errors import BridgeError
from bridge_jax.data.tokens import BUILT_IN, Tokenizer

SHAPES = "words.json"  # of the shapes world, beside its tokenizers
_AT_ONCE = 1024  # texts
_UNREADABLE = "\ufffd"  # what is left of a part of a letter
_BEFORE = "a"  # a token is read after this one, for then its space shows


@dataclasses.dataclass(frozen=True)
class Words:
    """Raises BridgeError for lists that do not belong together.

    Attributes:
      words: the texts, the most frequent first.
      ids: language model -> the id of each word in its vocabulary.
      counts: how often each occurs, in the tokens of the model that has it least.
    """

    words: tuple[str, ...]
    ids: Mapping[str, tuple[int, ...]]
    counts: tuple[int, ...]

    def __post_init__(self):
        sizes = {len(self.words), len(self.counts), *map(len, self.ids.values())}
        if len(sizes) != 1 or not self.ids:
            raise BridgeError("words, counts and ids of a vocabulary differ in length")

    def of(self, name: str) -> tuple[int, ...]:
        """The ids of one language model. Raises BridgeError for one that is not in."""
        if name not in self.ids:
            raise BridgeError(
                f"this vocabulary has no ids of {name!r}{suggest(name, self.ids)}: it"
                f" is of {', '.join(self.ids)}"
            )
        return self.ids[name]

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False) + "\n"


def load(path: Path) -> Words:
    """What `Words.to_json` wrote. Raises BridgeError for anything else."""
    try:
        told: Any = json.loads(path.read_text(encoding="utf-8"))
        return Words(
            words=tuple(told["words"]),
            ids={name: tuple(map(int, ids)) for name, ids in told["ids"].items()},
            counts=tuple(told["counts"]),
        )
    except OSError as error:
        raise BridgeError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BridgeError(
            f"{path} is no vocabulary; `bridge langbridge vocab` makes one"
        ) from None
    except BridgeError as error:
        raise BridgeError(f"{path}: {error}") from None


def resolved(model: Mapping[str, Any]) -> dict[str, Any]:
    """A model's description with ids in the place of words that it names.

    Args:
      model: part -> fields; `words` may be "FILE:LLM", where FILE is one that
        `bridge langbridge vocab` wrote, or "shapes" for the shapes world's own.

    Raises:
      BridgeError: no such file, or no such language model in it.
    """
    found = {name: dict(part) for name, part in model.items()}
    for name, part in found.items():
        if isinstance(named := part.get("words"), str):
            path, _, llm = named.rpartition(":")
            if not path:
                raise BridgeError(
                    f"model.{name}.words {named!r} is not of the form FILE:LLM"
                )
            file = BUILT_IN / SHAPES if path == "shapes" else Path(path)
            part["words"] = load(file).of(llm)
    return found


def shared(
    tokenizers: Mapping[str, Tokenizer], texts: Iterable[str], size: int
) -> Words:
    """The `size` most frequent words of `texts` that all tokenizers have.

    A word counts as often as the tokenizer writes it that writes it least. The order of
    tokenizers changes nothing, and memory does not grow with the texts.

    Raises:
      BridgeError: there are not so many.
    """
    known = {name: spellings(one) for name, one in tokenizers.items()}
    common = set.intersection(*(set(words) for words in known.values()))
    used = _counts(tokenizers, texts)
    found = {}
    for word in common:
        least = min(int(used[name][ids[word]]) for name, ids in known.items())
        if least:
            found[word] = least
    if len(found) < size:
        raise BridgeError(
            f"{' and '.join(tokenizers)} share {len(common)} words, of which"
            f" {len(found)} occur in these texts, and {size} are wanted: ask for fewer"
            " (--size), or give more text"
        )
    words = sorted(found, key=lambda word: (-found[word], word))[:size]
    return Words(
        words=tuple(words),
        ids={name: tuple(ids[w] for w in words) for name, ids in known.items()},
        counts=tuple(found[word] for word in words),
    )


def translated(
    ids: Iterable[int], ours: Tokenizer, theirs: Tokenizer
) -> tuple[int, ...]:
    """The ids that another tokenizer has for the same words, in their order.

    Raises:
      BridgeError: ids that are no words, or words that are no token there.
    """
    texts = {number: text for text, number in spellings(ours).items()}
    ids, known = tuple(ids), spellings(theirs)
    if strange := [number for number in ids if number not in texts]:
        raise BridgeError(
            f"{len(strange)} of {len(ids)} ids are no words of {ours.name}"
            f" ({_few(strange)}): the adapter was made with another tokenizer"
        )
    words = [texts[number] for number in ids]
    if missing := [word for word in words if word not in known]:
        raise BridgeError(
            f"{len(missing)} of {len(words)} words are no token of {theirs.name}"
            f" ({_few(missing)}); train the adapter with words of both: bridge"
            " langbridge vocab --llm ONE --llm OTHER"
        )
    return tuple(known[word] for word in words)


def _few(values: list[Any]) -> str:
    return ", ".join([*map(repr, values[:5]), *(["..."] if len(values) > 5 else [])])


def spellings(tokenizer: Tokenizer) -> dict[str, int]:
    """Text -> id of every token that stands for a text of its own.

    No control tokens, and no parts of letters. Where two tokens have the same text, it
    is the first's.
    """
    control = frozenset(tokenizer.added.values())
    decoder, found = tokenizer.plain.decoder, {}
    vocabulary = tokenizer.plain.get_vocab()
    before = _before(tokenizer)
    for token, number in sorted(vocabulary.items(), key=lambda item: item[1]):
        text = decoder.decode([before, token])[len(_BEFORE) :]
        if number not in control and text and _UNREADABLE not in text:
            found.setdefault(text, number)
    return found


def _before(tokenizer: Tokenizer) -> str:
    [*_, last] = tokenizer.plain.encode(_BEFORE, add_special_tokens=False).tokens
    return last


def _counts(
    tokenizers: Mapping[str, Tokenizer], texts: Iterable[str]
) -> dict[str, np.ndarray]:
    """How often each tokenizer writes each id: int64 [size]."""
    used = {name: np.zeros(one.size, np.int64) for name, one in tokenizers.items()}
    texts = iter(texts)
    while some := list(itertools.islice(texts, _AT_ONCE)):
        for name, tokenizer in tokenizers.items():
            rows = tokenizer.encode_texts(some)
            ids = np.fromiter(itertools.chain.from_iterable(rows), np.int64)
            used[name] += np.bincount(ids, minlength=tokenizer.size)
    return used
