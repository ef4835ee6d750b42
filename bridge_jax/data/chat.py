"""Conversations, rendered straight to token ids by a template of `templates`.

An image or video becomes a placeholder for every merged visual token. Only the
template's own strings hold control tokens: what people write never turns into one.

Content is a string or a list of parts:
  {"type": "text", "text": ..., "capture": False}   words; `capture` marks their tokens
  {"type": "caption", "text": ...}                  words between <img> and </img>
  {"type": "image"} and {"type": "video"}           the next grid in the list
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import mrope, positions, templates
from bridge_jax.data.tokens import Tokenizer

DEFAULT_SYSTEM = "You are a helpful assistant."
"""System text of the released Qwen2-VL template; the tiny world uses none."""

CAPTION_START, CAPTION_END = "<img>", "</img>"
ROLES = ("system", "user", "assistant")
QWEN2_VL = templates.TEMPLATES["qwen2_vl"]

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
    template: templates.Template = QWEN2_VL,
    begins: bool = True,
) -> Row:
    """Render a conversation.

    Args:
      tokenizer: one that has the template's control tokens.
      messages: {"role": "system" | "user" | "assistant", "content": ...} each.
      image_grids, video_grids: (t, h, w) in patches, in order of appearance.
      system: text of a system message put first unless the messages bring their own;
        None for no such message.
      generation_prompt: end with an opened assistant message.
      merge: patches per side that make one visual token.
      begins: False for what follows in a conversation.

    Returns:
      The row. Its ids equal those of the official template, except that an answer is
      encoded apart from its header, as it is when the model generates it.

    Raises:
      BridgeError: unknown role or part, or images and grids do not match.
    """
    _check(messages, len(image_grids), len(video_grids))
    if system is not None and messages[0]["role"] != "system":
        messages = [{"role": "system", "content": system}, *messages]
    grids = {"image": image_grids, "video": video_grids}
    writer = _Writer(tokenizer, template, grids, merge)
    if begins:
        writer.write(template.begin)
    for message in messages:
        writer.open(str(message["role"]))
        for part in _parts(message):
            writer.part(part)
        writer.close()
    if generation_prompt:
        writer.open("assistant")
    return writer.row()


def document(
    tokenizer: Tokenizer,
    parts: Sequence[Mapping[str, object]],
    image_grids: Sequence[Grid] = (),
    merge: int = 2,
    template: templates.Template = QWEN2_VL,
) -> Row:
    """Words and pictures without roles, as pretraining reads them.

    Args:
      parts: {"type": "text", "text": ...} and {"type": "image"}, as they follow.
      image_grids: (t, h, w) in patches of each picture, in order of appearance.

    Returns:
      The row, closed by the end of a text, if the tokenizer has one. Words and the
      closing token are `response`, to be learnt, but for a first token that is a word:
      nothing of this document comes before it.

    Raises:
      BridgeError: other parts, or pictures and grids do not match.
    """
    _check([{"role": "user", "content": parts}], len(image_grids), 0)
    writer = _Writer(tokenizer, template, {"image": image_grids}, merge)
    for part in parts:
        writer.learn(part)
    writer.learn_end()
    row = writer.row()
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


class _Writer:
    """A conversation as it grows. Words that touch are encoded together."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        template: templates.Template,
        grids: Mapping[str, Sequence[Grid]],
        merge: int,
    ):
        self._tokenizer, self._template, self._merge = tokenizer, template, merge
        self._grids = {kind: iter(some) for kind, some in grids.items()}
        self._used: list[tuple[int, int, int]] = []
        self._pieces: list[_Piece] = []
        self._words = ""
        self._learnt = False  # what is being written now

    def row(self) -> Row:
        self._flush()
        return _join(self._pieces, tuple(self._used))

    def write(self, text: str) -> None:
        """A string of the template, control tokens and all."""
        for part, control in templates.pieces(text):
            if control:
                self._add(_control(self._tokenizer, part))
            else:
                self._words += part

    def open(self, role: str) -> None:
        """A message. What the assistant says is encoded apart from its header, as it is
        when the model says it."""
        self.write(self._template.opening.format(role=role))
        if role == "assistant":
            self._flush()
            self._learnt = True

    def close(self) -> None:
        """The message that is open."""
        self.write(self._template.stop)
        self._flush()
        self._learnt = False
        self.write(self._template.gap)
        self._flush()

    def part(self, part: Mapping[str, object]) -> None:
        """A part of a message's content."""
        kind = part["type"]
        if kind in self._grids:
            self._see(kind)
        elif kind == "text" and not part.get("capture"):
            self._words += part["text"]
        elif kind == "text":
            self._add(self._tokenizer.encode_text(part["text"]), caption=True)
        else:
            self._add(_mark(self._tokenizer, CAPTION_START))
            self._add(self._tokenizer.encode_text(part["text"]), caption=True)
            self._add(_mark(self._tokenizer, CAPTION_END))

    def learn(self, part: Mapping[str, object]) -> None:
        """A part of a document, where every word is to be learnt, by itself."""
        self._learnt = True
        self.part(part)
        self._flush()

    def learn_end(self) -> None:
        """The end of a document, where the tokenizer has a token for it."""
        end = self._template.end_of_text
        if self._tokenizer.has_token(end):
            self._add(_control(self._tokenizer, end))

    def _see(self, kind: str) -> None:
        grid = tuple(int(side) for side in next(self._grids[kind]))
        self._used.append(grid)
        self._flush()
        learnt, self._learnt = self._learnt, False
        before, after = self._template.around()
        self.write(before)
        placeholder = _control(self._tokenizer, self._template.placeholders[kind])
        self._add(placeholder * mrope.visual_length(grid, self._merge), visual=True)
        self.write(after)
        self._learnt = learnt

    def _add(self, ids: Sequence[int], **kind: bool) -> None:
        self._flush()
        self._pieces.append(_Piece(ids, response=self._learnt, **kind))

    def _flush(self) -> None:
        if self._words:
            words, self._words = self._words, ""
            self._add(self._tokenizer.encode_text(words))


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
