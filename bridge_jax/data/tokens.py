"""One tokenizer as the rest of the package sees it.

A tokenizer folder is an ordinary Hugging Face folder (`tokenizer.json`,
`tokenizer_config.json`, ...), real or tiny. What this file adds is one guarantee:
text written by people stays text. `Tokenizer.plain` is the same tokenizer without its
added tokens, so no string, however it is spelled, becomes a control id. Control ids
are placed by name (`token_id`), by the code that means them.
"""

import dataclasses
import difflib
import json
import os
import pathlib
from collections.abc import Iterable, Mapping, Sequence

import tokenizers

from bridge_jax.core.errors import BridgeError

BUILT_IN = pathlib.Path(__file__).parent / "tokenizers"
"""Folder of the tiny world's tokenizers: `qwen2_vl`, `mt5` and `bert`."""


@dataclasses.dataclass(frozen=True)
class Tokenizer:
    """Text to ids and back; made by `load`.

    Attributes:
      name: the folder it came from, for messages.
      full: the `tokenizers` backend as transformers built it, added tokens included.
      plain: the same backend without added tokens.
      added: added-token string -> id; none of these ids ever comes out of text.
      prefix, suffix: ids that frame one text ([CLS] .. [SEP], or .. </s>).
      size: one more than the largest id.
      pad_id, eos_id: None where the tokenizer has none (padding falls back to the
        end-of-text id).
      unk_id: what unknown letters become; None for byte-level BPE, which knows all.
    """

    name: str
    full: tokenizers.Tokenizer = dataclasses.field(repr=False)
    plain: tokenizers.Tokenizer = dataclasses.field(repr=False)
    added: Mapping[str, int] = dataclasses.field(repr=False)
    prefix: tuple[int, ...]
    suffix: tuple[int, ...]
    size: int
    pad_id: int | None
    eos_id: int | None
    unk_id: int | None

    def encode_texts(self, texts: Iterable[str]) -> list[list[int]]:
        """Ids of each text, without frame, truncation or any control id."""
        batch = self.plain.encode_batch_fast(list(texts), add_special_tokens=False)
        rows = [encoding.ids for encoding in batch]
        control = frozenset(self.added.values()) - {self.unk_id}
        if not all(control.isdisjoint(row) for row in rows):
            raise BridgeError(
                f"{self.name}: this tokenizer turns ordinary text into control tokens "
                "even without its added tokens; use the model's own tokenizer.json"
            )
        return rows

    def encode_text(self, text: str) -> list[int]:
        """Ids of one text; see `encode_texts`."""
        return self.encode_texts([text])[0]

    def has_token(self, name: str) -> bool:
        """Whether `name` is one added token here, so that `token_id` finds it."""
        return name in self.added

    def token_id(self, name: str) -> int:
        """Id of an added token such as "<|image_pad|>"; BridgeError if unknown."""
        if name not in self.added:
            near = difflib.get_close_matches(name, self.added, n=3) or sorted(
                self.added
            )
            raise BridgeError(
                f"{self.name}: no token {name!r}; the nearest are {', '.join(near)}"
            )
        return self.added[name]

    def decode(self, ids: Sequence[int], skip_special: bool = True) -> str:
        """Text of ids; special tokens are left out unless `skip_special` is False."""
        ids = [int(i) for i in ids]
        return self.full.decode(ids, skip_special_tokens=skip_special)

    def decode_batch(self, rows: Iterable[Sequence[int]]) -> list[str]:
        """`decode` for many rows."""
        rows = [[int(i) for i in row] for row in rows]
        return self.full.decode_batch(rows, skip_special_tokens=True)


def load(folder: str | os.PathLike) -> Tokenizer:
    """Load a Hugging Face tokenizer folder (never from the network).

    Raises:
      BridgeError: the folder or its tokenizer files are missing or unreadable.
    """
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise BridgeError(
            f"{folder}: no such tokenizer folder; give a folder with tokenizer.json "
            "and tokenizer_config.json"
        )
    try:
        loaded = _auto_tokenizer().from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False
        )
        full = loaded.backend_tokenizer
    except Exception as error:  # transformers raises whatever its parsers raise
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise BridgeError(
            f"{folder}: cannot load a tokenizer ({reason[0]}); the folder needs "
            "tokenizer.json and tokenizer_config.json of a fast tokenizer"
        ) from error
    return _wrap(str(folder), full, loaded)


def load_built_in(side: str) -> Tokenizer:
    """Load a tokenizer of the tiny world: side is "qwen2_vl", "mt5" or "bert"."""
    return load(BUILT_IN / side)


def _auto_tokenizer():
    """transformers, imported late (it takes a second), without advice on PyTorch."""
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    import transformers

    return transformers.AutoTokenizer


def _wrap(name: str, full: tokenizers.Tokenizer, loaded) -> Tokenizer:
    full.no_padding()
    full.no_truncation()
    state = json.loads(full.to_str())
    plain = tokenizers.Tokenizer.from_str(json.dumps(_without_added_tokens(state)))
    prefix, suffix = _frame(full, plain)
    added = {t.content: i for i, t in full.get_added_tokens_decoder().items()}
    eos = loaded.eos_token_id
    return Tokenizer(
        name=name,
        full=full,
        plain=plain,
        added=added,
        prefix=prefix,
        suffix=suffix,
        size=max(full.get_vocab().values()) + 1,
        pad_id=eos if loaded.pad_token_id is None else loaded.pad_token_id,
        eos_id=eos,
        unk_id=_unknown(state["model"], full),
    )


def _without_added_tokens(state: dict) -> dict:
    """The same normaliser, pre-tokenizer and model, blind to added tokens."""
    model = dict(state["model"])
    if model["type"] == "Unigram":
        # Control pieces sit in a Unigram's own vocabulary with the best score of all.
        # A piece with a space in it is out of reach: Metaspace leaves no spaces.
        names = {token["content"] for token in state["added_tokens"]}
        model["vocab"] = [
            [f" {i}" if piece in names else piece, score]
            for i, (piece, score) in enumerate(model["vocab"])
        ]
    return {**state, "model": model, "added_tokens": [], "post_processor": None}


def _unknown(model: dict, full: tokenizers.Tokenizer) -> int | None:
    """Id the model itself gives to what it cannot spell; byte-level BPE has none."""
    if model["type"] == "Unigram":
        return model["unk_id"]
    token = model.get("unk_token")
    return None if token is None else full.token_to_id(token)


def _frame(full, plain) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Ids before and after a text, read off the post-processor."""
    bare = plain.encode("a", add_special_tokens=False).ids
    framed = full.encode("a", add_special_tokens=True).ids
    for start in range(len(framed) - len(bare) + 1):
        if framed[start : start + len(bare)] == bare:
            return tuple(framed[:start]), tuple(framed[start + len(bare) :])
    return (), ()
