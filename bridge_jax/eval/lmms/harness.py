"""Requests of lmms-eval, answered in batches. Nothing of lmms-eval is imported here.

A request is a conversation with how it is to be answered, or a prompt with words whose
loss is asked for. They are opened a chunk at a time: pictures take room.
"""

import collections
import dataclasses
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any

from bridge_jax.core import log
from bridge_jax.core.errors import BridgeError
from bridge_jax.data import chat, thinking
from bridge_jax.inference.answering import decode, turns

# Of generation_kwargs: what is obeyed, and what says nothing where it is greedy.
_OBEYED = {"max_new_tokens", "temperature", "do_sample", "until", "num_beams"}
_SAMPLING = {"top_p": 1.0, "top_k": 0}
_BATCHES = 8  # of the model's rows that are open at once
_MARK = "<image>"  # where other models want their picture; ours has it first


@dataclasses.dataclass(frozen=True)
class Question:
    """A conversation, and the pictures that it mentions, in order."""

    messages: Sequence[chat.Message]
    pictures: tuple[Any, ...] = ()

    @property
    def plain(self) -> str | None:
        """The text of a single turn after its pictures, or None for any other."""
        if len(self.messages) > 1 or self.messages[0]["role"] != "user":
            return None
        kinds = [part["type"] for part in self.messages[0]["content"]]
        if kinds != sorted(kinds):  # "image" before "text"
            return None
        texts = [part.get("text", "") for part in self.messages[0]["content"]]
        return "".join(texts) if "".join(texts).strip() else None


@dataclasses.dataclass(frozen=True)
class Choice:
    """How an answer is chosen, and where it is cut.

    Attributes:
      repeat: how often the same was asked before; another answer is drawn each time.
      top_p, top_k: what is drawn from, see `inference/answering/choosing.py`.
    """

    max_new_tokens: int
    temperature: float = 0.0
    stops: tuple[str, ...] = ()
    repeat: int = 0
    top_p: float = 1.0
    top_k: int = 0

    def cut(self, text: str) -> str:
        """`text` up to the first of the stops."""
        return text[
            : min((text.find(s) for s in self.stops if s in text), default=None)
        ]


def standing(environ: Mapping[str, str], index: int, count: int) -> tuple[int, int]:
    """(rank, world size) of this process, as lmms-eval and jax have to agree on them.

    Args:
      environ: RANK and WORLD_SIZE are what lmms-eval goes by.
      index, count: of jax's processes; one where they do not know each other.

    Raises:
      BridgeError: two counts, or two orders.
    """
    rank, world = (
        int(environ.get(n) or d) for n, d in (("RANK", 0), ("WORLD_SIZE", 1))
    )
    if count > 1 and (rank, world) != (index, count):
        raise BridgeError(
            f"this is process {index} of {count} for jax and {rank} of {world} for"
            " lmms-eval: start it by torchrun or accelerate with the same processes, or"
            " without BRIDGE_JAX_DISTRIBUTED"
        )
    return rank, world


def of_prompt(text: str, visuals: Any) -> Question:
    """A question about pictures, as lmms-eval's simple models are asked.

    Args:
      visuals: one, a list or none.

    Raises:
      BridgeError: visuals that are no pictures.
    """
    parts = [
        {"type": "audio" if isinstance(one, Mapping) else "image", "url": one}
        for one in _several(visuals)
    ]
    words = text.replace(_MARK, "").strip() if parts else text
    return of_messages(
        [{"role": "user", "content": [*parts, {"type": "text", "text": words}]}]
    )


def of_messages(messages: Sequence[Mapping[str, Any]]) -> Question:
    """A conversation as lmms-eval's chat models are given it.

    Raises:
      BridgeError: parts that are neither text nor pictures, all at once.
    """
    turned, pictures, wrong = [], [], set[str]()
    for message in messages:
        content = message["content"]
        if isinstance(content, str):
            content = [{"type": "text", "text": content}]
        parts = []
        for part in content:
            if part["type"] == "image":
                pictures.append(part["url"])
                parts.append({"type": "image"})
            elif part["type"] == "text":
                parts.append({"type": "text", "text": part["text"]})
            else:
                wrong.add(part["type"])
        turned.append({"role": message["role"], "content": parts})
    if wrong:
        raise BridgeError(
            f"only text and pictures are read, and no {', '.join(sorted(wrong))}"
        )
    return Question(turned, tuple(pictures))


def choices(
    given: Sequence[Mapping[str, Any]], most: int, names: Sequence[Hashable]
) -> list[Choice]:
    """generation_kwargs of requests; greedy unless a temperature above 0 is given.

    Args:
      most: tokens of an answer where a task does not say.
      names: of what is asked. What is asked again counts as a repeat.

    Raises:
      BridgeError: what we cannot do, all at once.
    """
    problems = sorted({text for one in given for text in _problems(one)})
    if problems:
        raise BridgeError(f"generation_kwargs: {'; '.join(problems)}")
    idle = sorted(set().union(*given) - _OBEYED - set(_SAMPLING))
    if idle:
        log.say(f"generation_kwargs that do nothing here: {', '.join(idle)}")
    before: collections.Counter = collections.Counter()
    found = []
    for one, name in zip(given, names, strict=True):
        stops = one.get("until") or ()
        stops = (stops,) if isinstance(stops, str) else tuple(stops)
        tokens = int(one.get("max_new_tokens") or most)
        stops = tuple(stop for stop in stops if stop)
        heat = _temperature(one)
        # What is greedy draws from nothing, so that it is asked together.
        drawn = {k: one.get(k) or v for k, v in _SAMPLING.items()} if heat else {}
        found.append(Choice(tokens, heat, stops, before[name], **drawn))
        before[name] += 1
    return found


def answers(
    model: Any,
    questions: Sequence[Callable[[], Question]],
    choices: Sequence[Choice],
    seed: int = 0,
    think: bool = False,
) -> list[str]:
    """The answer to each question, in order.

    Args:
      model: of `bridge_jax.load`.
      questions: opened when it is their turn.
      think: ask single questions to be thought about. Thoughts have room beside
        `max_new_tokens`, and only what they conclude is given.
    """
    found: dict[int, str] = {}
    for some, chosen in _chunks(choices, _BATCHES * model.engine.limits.rows):
        opened = [questions[i]() for i in some]
        texts = _answered(model, opened, chosen, seed, think)
        found |= {i: chosen.cut(t) for i, t in zip(some, texts, strict=True)}
    return [found[i] for i in range(len(questions))]


def losses(
    model: Any,
    prompts: Sequence[Callable[[], Question]],
    words: Sequence[str],
    names: Sequence[Hashable],
) -> list[tuple[float, bool]]:
    """(mean loss a token, whether the greedy answer begins so) of words after prompts.

    lmms-eval asks for log-likelihoods by name, and takes what is least: its own models
    give the loss. The space that it puts before the words is left out: the assistant's
    turn is opened already.

    Args:
      names: of the prompts; those of one name are the same.

    Raises:
      BridgeError: a prompt or words that say nothing.
    """
    found = []
    size = _BATCHES * model.engine.limits.rows
    for start in range(0, len(words), size):
        some = slice(start, start + size)
        opened = [ask() for ask in prompts[some]]
        targets = [text.strip() for text in words[some]]
        if not all(o.plain and t for o, t in zip(opened, targets, strict=True)):
            raise BridgeError("losses are of words after a prompt: one is empty")
        asked = [one.plain for one in opened]
        seen = [one.pictures or None for one in opened]
        scores = model.likelihood(asked, targets, seen)
        said = _begins(model, asked, seen, targets, names[some])
        found += [
            (-float(total) / count, yes)
            for (total, count), yes in zip(scores, said, strict=True)
        ]
    return found


def _begins(model, asked, seen, targets, names) -> list[bool]:
    """Whether greedy answers begin with the targets; each prompt is answered once."""
    ids = [list(model.processor.llm.encode_text(text)) for text in targets]
    rows = list({name: i for i, name in enumerate(names)}.values())
    given = model.chat(
        [seen[i] for i in rows],
        [asked[i] for i in rows],
        max_new_tokens=max(len(one) for one in ids),
    )
    tokens = {names[i]: one.tokens for i, one in zip(rows, given, strict=True)}
    return [
        list(tokens[name][: len(one)]) == one
        for name, one in zip(names, ids, strict=True)
    ]


def _answered(model, opened, chosen, seed, think) -> list[str]:
    """By `Model.chat`, which may look first, where that can ask it; others as is."""
    found: dict[int, str] = {}
    settings = dataclasses.asdict(
        decode.Choice(
            chosen.max_new_tokens,
            chosen.temperature,
            top_k=chosen.top_k,
            top_p=chosen.top_p,
            seed=seed + chosen.repeat,
        )
    )
    plain = [i for i, one in enumerate(opened) if one.plain]
    others = [i for i, one in enumerate(opened) if not one.plain]
    if plain:
        seen = [opened[i].pictures or None for i in plain]
        asked = [opened[i].plain for i in plain]
        if think:
            room = settings["max_new_tokens"] + thinking.ROOM
            how = settings | {"max_new_tokens": room, "think": True}
            texts = [one.conclusion for one in model.chat(seen, asked, **how)]
        else:
            texts = [one.text for one in model.chat(seen, asked, **settings)]
        found |= dict(zip(plain, texts, strict=True))
    if others:
        said = turns.replies(
            model.engine,
            model.params,
            [opened[i].messages for i in others],
            [opened[i].pictures for i in others],
            decode.Choice(**settings),
        )
        found |= {i: one.text for i, one in zip(others, said, strict=True)}
    return [found[i] for i in range(len(opened))]


def _chunks(choices: Sequence[Choice], most: int) -> Iterator[tuple[list[int], Choice]]:
    """Indices of equal choices, at most so many together."""
    groups: dict[Choice, list[int]] = {}
    for i, one in enumerate(choices):
        groups.setdefault(one, []).append(i)
    for one, rows in groups.items():
        for start in range(0, len(rows), most):
            yield rows[start : start + most], one


def _temperature(given: Mapping[str, Any]) -> float:
    greedy = given.get("do_sample") is False
    return 0.0 if greedy else float(given.get("temperature") or 0)


def _problems(given: Mapping[str, Any]) -> Iterator[str]:
    if (given.get("num_beams") or 1) != 1:
        yield f"num_beams {given['num_beams']}, but there is no beam search"


def _several(value: Any) -> list[Any]:
    """None, one, a list or a list in a list -> a list."""
    if value is None:
        return []
    if not isinstance(value, list | tuple):
        return [value]
    return [one for inner in value for one in _several(inner)]
