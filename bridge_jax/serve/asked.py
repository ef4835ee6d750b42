"""A chat request's JSON as an `Ask`: messages, pictures, and how to choose words."""

from collections.abc import Mapping
from typing import Any

from bridge_jax.serve.backend import Ask
from bridge_jax.serve.fields import Reader
from bridge_jax.serve.limits import Limits
from bridge_jax.serve.pictures import Pictures

DEFAULT_TOKENS = 256
ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}
_STOPS, _MOST_LOGPROBS = 4, 20  # as OpenAI
# What OpenAI has and these models have not: all but what asks for nothing is refused.
_NOTHING = (0, 0.0, False, [], {}, "none", "auto", {"type": "text"}, ["text"])
_REFUSED = {
    "tools": "are not known to this model: leave them out",
    "tool_choice": "is for tools, which this model does not know",
    "functions": "are not known to this model: leave them out",
    "function_call": "is for functions, which this model does not know",
    "response_format": "can only be text",
    "modalities": "can only be text",
    "audio": "cannot be made by this model",
    "logit_bias": "is not offered: leave it out",
    "frequency_penalty": "is not offered: use repetition_penalty",
    "presence_penalty": "is not offered: use repetition_penalty",
}
_IGNORED = (
    "user",
    "metadata",
    "store",
    "service_tier",
    "parallel_tool_calls",
    "prompt_cache_key",
    "safety_identifier",
)


def read_ask(read: Reader, limits: Limits) -> Ask:
    """What is asked; mistakes are noted in `read`."""
    pictures = Pictures(limits)
    messages = read_messages(read, limits, pictures)
    most = read.whole("max_tokens", None, 1, limits.tokens)
    most = read.whole("max_completion_tokens", most, 1, limits.tokens)
    read.refuse(_NOTHING, _REFUSED)
    read.ignore(*_IGNORED)
    return Ask(
        messages,
        tuple(pictures.encoded),
        think=read.flag("think", False),
        n=read.whole("n", 1, 1, limits.n),
        max_tokens=most or min(DEFAULT_TOKENS, limits.tokens),
        temperature=read.number("temperature", 0.0, 0.0, 2.0),
        top_k=read.whole("top_k", 0, 0, 2**31 - 1),
        top_p=read.number("top_p", 1.0, 1e-6, 1.0),
        min_p=read.number("min_p", 0.0, 0.0, 1.0),
        repetition_penalty=read.number("repetition_penalty", 1.0, 0.1, 10.0),
        seed=read.whole("seed", 0),
        stop=_stops(read),
        logprobs=_logprobs(read),
    )


def read_messages(
    read: Reader, limits: Limits, pictures: Pictures
) -> list[Mapping[str, Any]]:
    """Messages as of `data/chat.py`. What they show goes into `pictures`."""
    made, characters = [], 0
    for one in read.objects("messages", limits.messages, "messages"):
        role = ROLES[one.one_of("role", tuple(ROLES), "user")]
        content = _content(one, pictures)
        one.ignore("name", "refusal")
        one.refuse(_NOTHING, {"tool_calls": "are not known to this model"})
        one.unknown()
        characters += sum(len(part.get("text", "")) for part in content)
        made.append({"role": role, "content": content})
    if characters > limits.characters:
        read.wrong(
            "messages",
            f"have {characters:,} characters, and the limit is {limits.characters:,}",
        )
    if made and made[-1]["role"] == "assistant":
        read.wrong("messages", "end with the assistant: end with what is asked")
    return made


def _content(one: Reader, pictures: Pictures) -> list[dict[str, str]]:
    given = one.any("content", "")
    if isinstance(given, str):
        return [{"type": "text", "text": given}] if one.text("content") else []
    made = []
    # Of any length: the body's own limit is on bytes, and characters are counted.
    for part in one.objects("content", 10_000, "parts"):
        kind = part.one_of("type", ("text", "image_url"), "text")
        if kind == "text" and part.has("text"):
            text = part.any("text")
            if isinstance(text, str):
                made.append({"type": "text", "text": text})
            else:
                part.wrong("text", "is not a text")
        elif kind == "text":
            part.wrong("text", "is missing")
        elif _picture(part, pictures):
            made.append({"type": "image"})
        part.unknown()
    return made


def _picture(part: Reader, pictures: Pictures) -> bool:
    """Whether it was one."""
    inner = part.object_of(part.any("image_url", {}), "image_url")
    inner.ignore("detail")
    url, before = inner.text("url"), len(pictures.encoded)
    inner.unknown()
    if isinstance(url, str):
        pictures.data_url(inner, "url", url)
    return len(pictures.encoded) > before


def _logprobs(read: Reader) -> int | None:
    wanted = read.flag("logprobs", False)
    others = read.whole("top_logprobs", 0, 0, _MOST_LOGPROBS)
    if others and not wanted:
        read.wrong("top_logprobs", "needs logprobs: true")
    return others if wanted else None


def _stops(read: Reader) -> tuple[str, ...]:
    given = read.any("stop", [])
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or len(texts) > _STOPS:
        read.wrong("stop", f"is not a text or a list of at most {_STOPS}")
        return ()
    if not all(isinstance(text, str) and text for text in texts):
        read.wrong("stop", "has something that is no text, or an empty one")
        return ()
    return tuple(texts)
