"""Text stays text: on every side, whatever it spells."""

import nasty
import numpy as np
import pytest

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import text_encoding, tokens

SIDES = ("qwen2_vl", "mt5", "bert")


@pytest.mark.parametrize("side", SIDES)
def test_no_text_becomes_a_control_id(side):
    tokenizer = tokens.load_built_in(side)
    texts = nasty.texts(sorted(tokenizer.added), 1000)
    assert all(any(name in text for text in texts) for name in tokenizer.added)
    control = set(tokenizer.added.values()) - {tokenizer.unk_id}
    for text, ids in zip(texts, tokenizer.encode_texts(texts), strict=True):
        assert control.isdisjoint(ids), text
        assert ids and max(ids) < tokenizer.size


def test_byte_level_text_comes_back_as_written():
    tokenizer = tokens.load_built_in("qwen2_vl")
    for text in nasty.texts(sorted(tokenizer.added), 300):
        if "e\u0301" not in text:  # the one string that NFC rewrites
            assert tokenizer.decode(tokenizer.encode_text(text)) == text


@pytest.mark.parametrize("side", SIDES)
def test_text_without_control_strings_is_encoded_as_by_transformers(side):
    tokenizer = tokens.load_built_in(side)
    texts = ["a red ring", "Ünknown wörds, 12 stars?\n\n  yes", "", "  two  spaces "]
    for text in texts:
        expected = tokenizer.full.encode(text, add_special_tokens=False).ids
        assert tokenizer.encode_text(text) == expected


def test_control_ids_come_by_name_only():
    tokenizer = tokens.load_built_in("qwen2_vl")
    assert tokenizer.token_id("<img>") == tokenizer.added["<img>"]
    assert tokenizer.has_token("<|im_end|>") and not tokenizer.has_token("a")
    with pytest.raises(BridgeError, match=r"nearest are .*<\|image_pad\|>"):
        tokenizer.token_id("<|image|>")


def test_decode_leaves_special_tokens_out_unless_asked():
    tokenizer = tokens.load_built_in("qwen2_vl")
    end = tokenizer.token_id("<|im_end|>")
    ids = np.array([*tokenizer.encode_text("a red ring"), end])
    assert tokenizer.decode(ids) == "a red ring"
    assert tokenizer.decode(ids, skip_special=False) == "a red ring<|im_end|>"
    assert tokenizer.decode_batch([ids, [end]]) == ["a red ring", ""]


def test_a_missing_or_broken_folder_is_one_clear_line(tmp_path):
    with pytest.raises(BridgeError, match="no such tokenizer folder"):
        tokens.load(tmp_path / "absent")
    for content in (None, b"", b"{", b'{"model": 3}'):
        folder = tmp_path / str(content)
        folder.mkdir()
        if content is not None:
            (folder / "tokenizer.json").write_bytes(content)
        with pytest.raises(BridgeError, match="cannot load a tokenizer") as caught:
            tokens.load(folder)
        assert "\n" not in str(caught.value)


def test_fixed_length_encoding_frames_pads_and_cuts():
    bert = tokens.load_built_in("bert")
    ids, mask = text_encoding.encode(bert, ["a red ring", "a " * 50, ""], 8)
    assert ids.dtype == np.int32 and mask.dtype == bool and ids.shape == (3, 8)
    a, red, ring = bert.encode_text("a red ring")
    assert ids.tolist() == [
        [2, a, red, ring, 3, 0, 0, 0],
        [2, a, a, a, a, a, a, 3],
        [2, 3, 0, 0, 0, 0, 0, 0],
    ]
    assert mask.sum(axis=1).tolist() == [5, 8, 2]
    mt5 = tokens.load_built_in("mt5")
    ids, mask = text_encoding.encode(mt5, ["a red ring"], 6)
    assert ids[0].tolist() == [*mt5.encode_text("a red ring"), 1, 0, 0]
    assert mask[0].tolist() == [True] * 4 + [False] * 2


def test_strict_encoding_names_every_text_that_is_too_long():
    mt5 = tokens.load_built_in("mt5")
    with pytest.raises(BridgeError, match="at most 3 tokens fit") as caught:
        text_encoding.encode(mt5, ["a " * 9, "a", "the " * 5], 4, strict=True)
    assert "has 9 tokens" in str(caught.value) and "has 5 tokens" in str(caught.value)
    with pytest.raises(BridgeError, match="no room"):
        text_encoding.encode(mt5, ["a"], 1)
