"""Qwen2-VL's chat format, rendered straight to token ids.

Each message becomes `<|im_start|>ROLE\\nCONTENT<|im_end|>\\n`; an image or video
becomes `<|vision_start|>`, one `<|image_pad|>` (`<|video_pad|>`) for every merged
visual token, `<|vision_end|>`. The template is fixed here in code: no template that
comes with a model is executed, and text never turns into control tokens.

Content is a string or a list of parts:
  {"type": "text", "text": ..., "capture": False}   words; `capture` marks their tokens
  {"type": "caption", "text": ...}                  words between <img> and </img>
  {"type": "image"} and {"type": "video"}           the next grid in the list
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import mrope, positions
from bridge_jax.data.tokens import Tokenizer

DEFAULT_SYSTEM = "You are a helpful assistant."
"""System text of the released Qwen2-VL template; the tiny world uses none."""

CAPTION_START, CAPTION_END = "<img>", "</img>"
END_OF_TEXT = "<|endoftext|>"
ROLES = ("system", "user", "assistant")
PLACEHOLDERS = {"image": "<|image_pad|>", "video": "<|video_pad|>"}

Message = Mapping[str, object]
Grid = Sequence[int]


@dataclasses.dataclass(frozen=True)
class Row:
    """One rendered conversation of T tokens.

    Attributes:
      tokens: [T] int32.
      response: [T] bool, True on what the assistant says and the <|im_end|> that ends
        it: the tokens to be learnt.
      caption: [T] bool, True on captured text and on the words between caption marks
        (the marks left out).
      visual: [T] bool, True on image and video placeholders.
      grids: (t, h, w) in patches of each image or video, in order of appearance.
    """

    tokens: np.ndarray
    response: np.ndarray
    caption: np.ndarray
    visual: np.ndarray
    grids: tuple[tuple[int, int, int], ...] = ()


@dataclasses.dataclass(frozen=True)
class _Piece:
    ids: Sequence[int]
    response: bool = False
    caption: bool = False
    visual: bool = False


def render(
    tokenizer: Tokenizer,
    messages: Sequence[Message],
    image_grids: Sequence[Grid] = (),
    video_grids: Sequence[Grid] = (),
    system: str | None = None,
    generation_prompt: bool = False,
    merge: int = 2,
) -> Row:
    """Render a conversation.

    Args:
      tokenizer: of the Qwen family.
      messages: {"role": "system" | "user" | "assistant", "content": ...} each.
      image_grids, video_grids: (t, h, w) in patches, in order of appearance.
      system: text of a system message put first unless the messages bring their own;
        None for no such message.
      generation_prompt: end with an opened assistant message.
      merge: patches per side that make one visual token.

    Returns:
      The row. Its ids equal those of the official template, except that an answer is
      encoded apart from its header, as it is when the model generates it.

    Raises:
      BridgeError: unknown role or part, or images and grids do not match.
    """
    _check(messages, len(image_grids), len(video_grids))
    if system is not None and messages[0]["role"] != "system":
        messages = [{"role": "system", "content": system}, *messages]
    grids = {"image": iter(image_grids), "video": iter(video_grids)}
    used: list[tuple[int, int, int]] = []
    pieces: list[_Piece] = []
    for message in messages:
        pieces += _message(tokenizer, message, grids, used, merge)
    if generation_prompt:
        pieces.append(_Piece(_control(tokenizer, "<|im_start|>")))
        pieces.append(_Piece(tokenizer.encode_text("assistant\n")))
    return _join(pieces, tuple(used))


def document(
    tokenizer: Tokenizer,
    parts: Sequence[Mapping[str, object]],
    image_grids: Sequence[Grid] = (),
    merge: int = 2,
) -> Row:
    """Words and pictures without roles, as pretraining reads them.

    Args:
      parts: {"type": "text", "text": ...} and {"type": "image"}, as they follow.
      image_grids: (t, h, w) in patches of each picture, in order of appearance.

    Returns:
      The row, closed by <|endoftext|> where the tokenizer has it. All words and the
      closing token are `response`, to be learnt, but for a first token that is a word:
      nothing of this document comes before it.

    Raises:
      BridgeError: other parts, or pictures and grids do not match.
    """
    _check([{"role": "user", "content": parts}], len(image_grids), 0)
    grids, used, pieces = {"image": iter(image_grids)}, [], []
    for part in parts:
        if part["type"] == "text":
            words = tokenizer.encode_text(part["text"])
            pieces.append(_Piece(words, response=True))
        else:
            pieces += _part(tokenizer, part, grids, used, merge, answer=True)
    if tokenizer.has_token(END_OF_TEXT):
        pieces.append(_Piece(_control(tokenizer, END_OF_TEXT), response=True))
    row = _join(pieces, tuple(used))
    row.response[:1] = False
    return row


def follow(rows: Sequence[Row]) -> Row:
    """One conversation of several that were rendered apart, in order.

    A message's ids do not depend on those before it, so this equals rendering all
    messages at once (given that only the first row has a system message).
    """
    fields = ("tokens", "response", "caption", "visual")
    joined = {name: np.concatenate([getattr(r, name) for r in rows]) for name in fields}
    return Row(**joined, grids=sum((row.grids for row in rows), ()))


def caption_text(tokenizer: Tokenizer, ids: Sequence[int]) -> str:
    """The words between the first <img> and the </img> after it, or else all text."""
    words = [int(i) for i in ids]
    if tokenizer.has_token(CAPTION_START) and tokenizer.has_token(CAPTION_END):
        start = tokenizer.token_id(CAPTION_START)
        end = tokenizer.token_id(CAPTION_END)
        if start in words:
            words = words[words.index(start) + 1 :]
        if end in words:
            words = words[: words.index(end)]
        return tokenizer.decode(words).strip()
    text = tokenizer.decode(words)
    return text.split(CAPTION_START, 1)[-1].split(CAPTION_END, 1)[0].strip()


def pad_batch(
    rows: Sequence[Row],
    length: int,
    pad_id: int,
    merge: int = 2,
    side: str = "right",
    rule: positions.Rule = mrope.row_positions,
) -> dict[str, np.ndarray]:
    """Pad rows to one length and add what the model needs beside the tokens.

    Args:
      rows: B rows.
      length: T; no row may be longer.
      pad_id: id on padding.
      merge: patches per side that make one visual token.
      side: "right" (training) or "left" (batched generation).
      rule: of `positions.RULES`.

    Returns:
      tokens [B, T] int32; segments [B, T] int32, 1 on tokens and 0 on padding;
      loss_mask [B, T] float32, 1 on tokens to be predicted (token t is predicted from
      position t - 1); caption_mask [B, T] bool; positions [3, B, T] int32 and deltas
      [B] int32 as in `mrope`; image_index [B, T] int32: number, within its row, of the
      merged visual token that stands here, or -1.

    Raises:
      BridgeError: naming every row that does not fit.
    """
    long = [f"row {b}: {len(r.tokens)}" for b, r in enumerate(rows) if
            len(r.tokens) > length]  # fmt: skip
    if long:
        raise BridgeError(
            f"at most {length} tokens fit ({', '.join(long)} tokens); shorten the text "
            "or use smaller or fewer images"
        )

    def padded(name: str, dtype, fill) -> np.ndarray:
        array = np.full((len(rows), length), fill, dtype)
        for b, row in enumerate(rows):
            size = len(row.tokens)
            place = slice(length - size, None) if side == "left" else slice(size)
            array[b, place] = 1 if name == "segments" else getattr(row, name)
        return array

    segments = padded("segments", np.int32, 0)
    visual = padded("visual", bool, False)
    numbers, deltas = mrope.batch_positions(
        visual, segments, [row.grids for row in rows], merge, rule
    )
    return {
        "tokens": padded("tokens", np.int32, pad_id),
        "segments": segments,
        "loss_mask": padded("response", np.float32, 0),
        "caption_mask": padded("caption", bool, False),
        "positions": numbers,
        "deltas": deltas,
        "image_index": mrope.image_index(visual),
    }


def _check(messages: Sequence[Message], images: int, videos: int) -> None:
    if not messages:
        raise BridgeError("a conversation needs at least one message")
    wrong = []
    found = {"image": 0, "video": 0}
    for number, message in enumerate(messages):
        if message.get("role") not in ROLES:
            wrong.append(f"message {number}: role {message.get('role')!r}, not {ROLES}")
        for part in _parts(message):
            kind = part.get("type")
            if kind in found:
                found[kind] += 1
            elif kind not in ("text", "caption"):
                wrong.append(
                    f"message {number}: part type {kind!r}, not text, caption, image "
                    "or video"
                )
            elif not isinstance(part.get("text"), str):
                wrong.append(f"message {number}: a {kind} part without text")
    for kind, given in (("image", images), ("video", videos)):
        if found[kind] != given:
            wrong.append(f"{found[kind]} {kind}s are mentioned and {given} given")
    if wrong:
        raise BridgeError(f"cannot render the conversation: {'; '.join(wrong)}")


def _parts(message: Message) -> list[Mapping[str, object]]:
    content = message.get("content")
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if not isinstance(content, Sequence) or not all(
        isinstance(part, Mapping) for part in content
    ):
        raise BridgeError("a message's content is a string or a list of parts")
    return list(content)


def _message(tokenizer, message, grids, used, merge) -> Iterator[_Piece]:
    """The pieces of one message, its closing line break included."""
    answer = message["role"] == "assistant"
    yield _Piece(_control(tokenizer, "<|im_start|>"))
    # Words that touch are encoded together, as the template's text would be.
    words = f"{message['role']}\n"
    if answer:
        yield _Piece(tokenizer.encode_text(words))
        words = ""
    for part in _parts(message):
        if part["type"] == "text" and not part.get("capture"):
            words += part["text"]
            continue
        if words:
            yield _Piece(tokenizer.encode_text(words), response=answer)
            words = ""
        yield from _part(tokenizer, part, grids, used, merge, answer)
    if words:
        yield _Piece(tokenizer.encode_text(words), response=answer)
    yield _Piece(_control(tokenizer, "<|im_end|>"), response=answer)
    yield _Piece(tokenizer.encode_text("\n"))


def _part(tokenizer, part, grids, used, merge, answer) -> Iterator[_Piece]:
    kind = part["type"]
    if kind in PLACEHOLDERS:
        grid = tuple(int(side) for side in next(grids[kind]))
        used.append(grid)
        count = mrope.visual_length(grid, merge)
        placeholders = _control(tokenizer, PLACEHOLDERS[kind]) * count
        yield _Piece(_control(tokenizer, "<|vision_start|>"))
        yield _Piece(placeholders, visual=True)
        yield _Piece(_control(tokenizer, "<|vision_end|>"))
        return
    words = _Piece(tokenizer.encode_text(part["text"]), response=answer, caption=True)
    if kind == "text":
        yield words
        return
    yield _Piece(_mark(tokenizer, CAPTION_START), response=answer)
    yield words
    yield _Piece(_mark(tokenizer, CAPTION_END), response=answer)


def _control(tokenizer: Tokenizer, name: str) -> list[int]:
    return [tokenizer.token_id(name)]


def _mark(tokenizer: Tokenizer, name: str) -> list[int]:
    """A caption mark: one token where the tokenizer has it, otherwise its letters."""
    if tokenizer.has_token(name):
        return [tokenizer.token_id(name)]
    return tokenizer.encode_text(name)


def _join(pieces: Sequence[_Piece], grids) -> Row:
    sizes = [len(piece.ids) for piece in pieces]

    def flags(name: str) -> np.ndarray:
        return np.repeat([getattr(piece, name) for piece in pieces], sizes)

    return Row(
        tokens=np.concatenate([np.asarray(p.ids, np.int32) for p in pieces]),
        response=flags("response"),
        caption=flags("caption"),
        visual=flags("visual"),
        grids=grids,
    )
