"""The tiny world's tokenizers: rebuilt to the byte, one token a word, real folders."""

import json
import re
import shutil

import pytest
import transformers

from bridge_jax.data import shapes_world, tokens, vocabulary
from bridge_jax.data.tokenizers import build

SIDES = ("qwen2_vl", "mt5", "bert")
EVERY = (*SIDES, "llama3")
FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
CAPTION = "a small red circle top left, a large blue star center, on a gray background"


def test_rebuilding_gives_the_same_bytes(tmp_path):
    assert build.main([str(tmp_path)]) == 0
    for side in EVERY:
        for name in FILES:
            shipped = (tokens.BUILT_IN / side / name).read_bytes()
            assert (tmp_path / side / name).read_bytes() == shipped, f"{side}/{name}"
    words = (tokens.BUILT_IN / vocabulary.SHAPES).read_bytes()
    assert (tmp_path / vocabulary.SHAPES).read_bytes() == words


def test_the_two_language_models_write_the_same_words_with_other_ids():
    words = vocabulary.load(tokens.BUILT_IN / vocabulary.SHAPES)
    ids = {name: words.of(name) for name in ("qwen2_vl", "llama3")}
    same = sum(a == b for a, b in zip(*ids.values(), strict=True))
    assert same <= len(words.words) / 5
    for name, own in ids.items():
        one = tokens.load_built_in(name)
        written = [one.decode([number]) for number in own]
        assert written == list(words.words)


@pytest.mark.parametrize("side", EVERY)
def test_every_word_of_the_world_is_one_token(side):
    tokenizer = tokens.load_built_in(side)
    words = sorted(shapes_world.VOCABULARY)
    assert len(words) > 80
    for word in words:
        spaced = (
            f" {word}" if side in ("qwen2_vl", "llama3") and word.isalpha() else word
        )
        assert len(tokenizer.encode_text(spaced)) == 1, word
    assert len(tokenizer.encode_text(CAPTION)) == len(re.findall(r"\w+|,", CAPTION))


def test_texts_of_the_world_survive_the_round_trip():
    qwen = tokens.load_built_in("qwen2_vl")
    mt5 = tokens.load_built_in("mt5")
    for text in shapes_world.corpus(300, seed=5):
        assert qwen.decode(qwen.encode_text(text)) == text
        assert mt5.unk_id not in mt5.encode_text(text)
        assert mt5.decode(mt5.encode_text(text)) == text


def test_ids_and_sizes_are_those_of_the_families():
    qwen, mt5, bert = map(tokens.load_built_in, SIDES)
    assert qwen.size <= 640 and mt5.size <= 512 and bert.size <= 512
    assert [mt5.token_id(t) for t in build.MT5_SPECIAL] == [0, 1, 2]
    assert [bert.token_id(t) for t in build.BERT_SPECIAL] == [0, 1, 2, 3, 4]
    assert (mt5.prefix, mt5.suffix) == ((), (1,))
    assert (bert.prefix, bert.suffix) == ((2,), (3,))
    assert (qwen.prefix, qwen.suffix) == ((), ())
    assert qwen.pad_id == qwen.token_id("<|endoftext|>")
    assert qwen.eos_id == qwen.token_id("<|im_end|>")
    # As in Qwen2-VL, the special tokens follow the text tokens in one run.
    first = qwen.token_id("<|endoftext|>")
    ids = [qwen.token_id(t) for t in (*build.QWEN_SPECIAL, *build.QWEN_ADDED)]
    assert ids == list(range(first, first + 16))
    for byte in range(256):
        raw = bytes([byte]).decode("latin-1")
        assert qwen.decode(qwen.encode_text(raw)) == raw


@pytest.mark.parametrize("side", EVERY)
def test_transformers_loads_the_same_tokenizer(side):
    folder = tokens.BUILT_IN / side
    named = json.loads((folder / "tokenizer_config.json").read_text())
    loaded = transformers.AutoTokenizer.from_pretrained(str(folder))
    assert type(loaded) is getattr(transformers, named["tokenizer_class"])
    tokenizer = tokens.load_built_in(side)
    ids, mask = loaded(CAPTION)["input_ids"], loaded(CAPTION)["attention_mask"]
    own = tokenizer.encode_text(CAPTION)
    assert ids == [*tokenizer.prefix, *own, *tokenizer.suffix]
    assert mask == [1] * len(ids)


def test_a_folder_laid_out_like_the_released_model_loads(tmp_path):
    shutil.copytree(tokens.BUILT_IN / "qwen2_vl", tmp_path, dirs_exist_ok=True)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen2_vl"}))
    model = json.loads((tmp_path / "tokenizer.json").read_text())["model"]
    (tmp_path / "vocab.json").write_text(json.dumps(model["vocab"]))
    merges = "\n".join(" ".join(pair) for pair in model["merges"])
    (tmp_path / "merges.txt").write_text(f"#version: 0.2\n{merges}\n")
    config = json.loads((tmp_path / "tokenizer_config.json").read_text())
    config["chat_template"] = "{{ raise_exception('a template must not run') }}"
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    loaded = tokens.load(tmp_path)
    built_in = tokens.load_built_in("qwen2_vl")
    assert loaded.encode_text(CAPTION) == built_in.encode_text(CAPTION)
    assert loaded.added == built_in.added


def test_build_without_a_folder_says_how(capsys):
    assert build.main([]) == 2
    assert "usage" in capsys.readouterr().err
