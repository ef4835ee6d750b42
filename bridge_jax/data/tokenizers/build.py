"""Build the tiny world's tokenizers: python -m bridge_jax.data.tokenizers.build OUT

Four folders of ordinary Hugging Face files, byte for byte the same on every run:
  qwen2_vl   byte-level BPE with Qwen2's pre-tokenizer and Qwen2-VL's special tokens
  llama3     the same with LLaMA-3's; the words of the world have other ids in it
  mt5        Unigram with Metaspace; <pad> 0, </s> 1, <unk> 2; ends a text with </s>
  bert       lower-casing WordPiece; [CLS] text [SEP]
and words.json, what `bridge langbridge vocab` finds in the first two.
Each word of the world is one token on every side, so text lengths are word counts.
"""

import collections
import json
import math
import pathlib
import re
import string
import sys
from collections.abc import Iterable, Mapping, Sequence

import tokenizers
from tokenizers import (
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

from bridge_jax.data import chat, shapes_world, tokens, vocabulary

CORPUS_TEXTS = 20_000
SHARED_WORDS = 80

# Qwen2's published pattern: contractions, words with the space before them, single
# digits, punctuation, line breaks, spaces.
QWEN_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# LLaMA-3's, which differs from it in runs of up to three digits.
LLAMA_PATTERN = QWEN_PATTERN.replace(r"\p{N}|", r"\p{N}{1,3}|")
LLAMA_SPECIAL = (
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
)
QWEN_SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|object_ref_start|>",
    "<|object_ref_end|>",
    "<|box_start|>",
    "<|box_end|>",
    "<|quad_start|>",
    "<|quad_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
QWEN_ADDED = ("<img>", "</img>")  # caption marks: added, but not special
MT5_SPECIAL = ("<pad>", "</s>", "<unk>")
BERT_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")

QWEN_VOCAB, LLAMA_VOCAB, MT5_VOCAB, BERT_VOCAB = 640, 576, 512, 512

# What a conversation of the tiny world says beside the world's own texts.
CHAT_TEXTS = (
    "system\n",
    "user\n",
    "assistant\n",
    "Describe the picture.",
    "Draw: a",
    "Edit: add",
)

WORD = re.compile(r"[A-Za-z]+|[0-9]")


def build(out: pathlib.Path, learnt_from: Sequence[str]) -> None:
    """Write the four folders and words.json under `out`."""
    words = collections.Counter(
        word for text in learnt_from for word in WORD.findall(text)
    )
    _write(out / "qwen2_vl", qwen(learnt_from), _qwen_config())
    _write(out / "llama3", llama(words), _llama_config())
    _write(out / "mt5", mt5(words), _mt5_config())
    _write(out / "bert", bert(words), _bert_config())
    both = {name: tokens.load(out / name) for name in ("qwen2_vl", "llama3")}
    shared = vocabulary.shared(both, learnt_from, SHARED_WORDS)
    (out / vocabulary.SHAPES).write_text(shared.to_json(), "utf-8")


def qwen(learnt_from: Iterable[str]) -> tokenizers.Tokenizer:
    """Byte-level BPE; all 256 bytes are in the vocabulary, so nothing is unknown."""
    size = QWEN_VOCAB - len(QWEN_SPECIAL) - len(QWEN_ADDED)
    tokenizer = _byte_level(QWEN_PATTERN, learnt_from, size)
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.add_special_tokens([_added(token) for token in QWEN_SPECIAL])
    tokenizer.add_tokens([_added(token, special=False) for token in QWEN_ADDED])
    return tokenizer


def llama(words: Iterable[str]) -> tokenizers.Tokenizer:
    """Byte-level BPE, learnt from each word once: other merges than Qwen's."""
    headers = [f"{role}\n\n" for role in chat.ROLES]
    learnt_from = [*headers, *(f" {word}" for word in sorted(words))]
    size = LLAMA_VOCAB - len(LLAMA_SPECIAL)
    tokenizer = _byte_level(LLAMA_PATTERN, learnt_from, size)
    tokenizer.add_special_tokens([_added(token) for token in LLAMA_SPECIAL])
    return tokenizer


def _byte_level(
    pattern: str, learnt_from: Iterable[str], size: int
) -> tokenizers.Tokenizer:
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(tokenizers.Regex(pattern), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=[],
        show_progress=False,
    )
    tokenizer.train_from_iterator(learnt_from, trainer)
    return tokenizer


def mt5(words: Mapping[str, int]) -> tokenizers.Tokenizer:
    """Unigram whose pieces are the world's words and, far behind, ASCII letters."""
    total = sum(words.values())
    pieces = [(token, 0.0) for token in MT5_SPECIAL]
    pieces += [(f"▁{w}", math.log(n / total)) for w, n in _by_count(words)]
    letters = ["▁", *(c for c in string.printable if not c.isspace())]
    pieces += [(letter, -2 * math.log(total)) for letter in letters]
    tokenizer = tokenizers.Tokenizer(models.Unigram(_fits(pieces, MT5_VOCAB), unk_id=2))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always"),
        ]
    )
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>",
        pair="$A </s> $B </s>",
        special_tokens=[("</s>", 1)],
    )
    tokenizer.add_special_tokens([_added(token) for token in MT5_SPECIAL])
    return tokenizer


def bert(words: Mapping[str, int]) -> tokenizers.Tokenizer:
    """WordPiece of the world's words and of ASCII letters for all others."""
    lowered = collections.Counter()
    for word, count in words.items():
        lowered[word.lower()] += count
    signs = [c for c in string.printable if not c.isspace() and not c.isupper()]
    inner = [f"##{c}" for c in string.ascii_lowercase + string.digits]
    known = [*BERT_SPECIAL, *signs, *inner]
    known += [word for word, _ in _by_count(lowered) if word not in signs]
    vocab = {piece: i for i, piece in enumerate(_fits(known, BERT_VOCAB))}
    tokenizer = tokenizers.Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    tokenizer.add_special_tokens([_added(token) for token in BERT_SPECIAL])
    return tokenizer


def _added(content: str, special: bool = True) -> tokenizers.AddedToken:
    return tokenizers.AddedToken(content, special=special, normalized=False)


def _by_count(words: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(words.items(), key=lambda item: (-item[1], item[0]))


def _fits(pieces: list, limit: int) -> list:
    if len(pieces) > limit:
        raise ValueError(f"{len(pieces)} pieces and room for {limit}: raise the limit")
    return pieces


def _qwen_config() -> dict[str, object]:
    return {
        "tokenizer_class": "Qwen2Tokenizer",
        "add_prefix_space": False,
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "additional_special_tokens": list(QWEN_SPECIAL[1:]),
        "model_max_length": 32768,
    }


def _llama_config() -> dict[str, object]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<|begin_of_text|>",
        "eos_token": "<|eot_id|>",
        "pad_token": "<|end_of_text|>",
        "model_max_length": 8192,
    }


def _mt5_config() -> dict[str, object]:
    return {
        "tokenizer_class": "T5Tokenizer",
        "pad_token": "<pad>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "extra_ids": 0,
        "additional_special_tokens": [],
        "model_max_length": 256,
    }


def _bert_config() -> dict[str, object]:
    return {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": True,
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "mask_token": "[MASK]",
        "model_max_length": 77,
    }


def _write(
    folder: pathlib.Path, tokenizer: tokenizers.Tokenizer, config: dict[str, object]
) -> None:
    added = {
        str(number): {
            "content": token.content,
            "lstrip": False,
            "normalized": False,
            "rstrip": False,
            "single_word": False,
            "special": token.special,
        }
        for number, token in tokenizer.get_added_tokens_decoder().items()
    }
    special = {key: text for key, text in config.items() if key.endswith("_token")}
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    _json(folder / "tokenizer_config.json", {**config, "added_tokens_decoder": added})
    _json(folder / "special_tokens_map.json", special)


def _json(path: pathlib.Path, content: dict[str, object]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", "utf-8")


def texts() -> list[str]:
    """What the tokenizers are learnt from: the world's texts, then all its words."""
    words = [f" {word}" for word in sorted(shapes_world.VOCABULARY)]
    return [*CHAT_TEXTS, *shapes_world.corpus(CORPUS_TEXTS), *words]


def main(arguments: Sequence[str]) -> int:
    if len(arguments) != 1:
        print("usage: python -m bridge_jax.data.tokenizers.build OUT", file=sys.stderr)
        return 2
    build(pathlib.Path(arguments[0]), texts())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
