"""Greedy answers token by token against transformers' own.

Ours decode with a cache of fixed shape from one prefill; theirs with theirs.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bridge_jax.layers import kv_cache as kv
from bridge_jax.parity.components import qwen2_vl
from bridge_jax.parity.fixture import Fixture

pytestmark = pytest.mark.parity
torch = pytest.importorskip("torch", reason="torch is a test-only oracle")
transformers = pytest.importorskip("transformers")

from living import Moved, qwen, text_model

NEW = 12


def continued(theirs, **prompt):
    """The NEW likeliest tokens one after another: int [B, NEW]."""
    with torch.no_grad():
        out = theirs.generate(
            **prompt,
            max_new_tokens=NEW,
            min_new_tokens=NEW,
            do_sample=False,
            pad_token_id=0,
            eos_token_id=None,
        )
    return out[:, -NEW:].numpy()


@pytest.mark.parametrize("kind", ["qwen2", "llama3"])
def test_a_text_model_says_the_same(tmp_path, kind):
    moved = Moved("decoder_lm", text_model(kind), tmp_path)
    config, lm = moved.configs["lm"], "lm"
    tokens = np.random.default_rng(1).integers(3, 60, (2, 20))
    mask = np.ones_like(tokens)
    mask[1, :7] = 0  # on the left, as generate wants it
    wanted = continued(
        moved.theirs,
        input_ids=torch.tensor(tokens),
        attention_mask=torch.tensor(mask),
    )

    @jax.jit
    def step(cache, tokens, positions, segments):
        hidden, out = moved.apply(lm, tokens, positions, segments, cache=cache)
        scores = moved.apply(lm, hidden[:, -1:], method="logits")
        return out["cache"], jnp.argmax(scores[:, 0], axis=-1)

    cache = kv.empty(config, 2, 20 + NEW)
    positions = np.maximum(np.cumsum(mask, axis=1) - 1, 0)
    cache, token = step(cache, tokens, positions, mask)
    said, at = [], positions[:, -1:]
    for _ in range(NEW):
        said.append(np.asarray(token))
        at = at + 1
        cache, token = step(cache, token[:, None], at, np.ones((2, 1), int))
    said = np.stack(said, axis=1)
    np.testing.assert_array_equal(said, wanted)
    assert len(np.unique(said)) > 2  # a constant answer would prove little


def test_a_vision_language_model_says_the_same(tmp_path):
    moved = Moved("qwen2_vl", qwen(tied=False), tmp_path)
    config, module = moved.configs["vlm"], moved.bundle["vlm"].module
    tokens = np.array([[5, 92, *[90] * 6, 93, 7, 8]])
    given = {
        "in/a/attention_mask": np.ones_like(tokens),
        "in/a/image_grid_thw": np.array([[1, 4, 6]]),
        "in/a/pixel_values": np.random.default_rng(0)
        .standard_normal((24, config.vision.patch_dim))
        .astype(np.float32),
    }
    feed = {name[5:]: torch.from_numpy(array) for name, array in given.items()}
    ids = torch.from_numpy(tokens)
    wanted = continued(
        moved.theirs,
        input_ids=ids,
        mm_token_type_ids=(ids == config.image_pad).int(),
        **feed,
    )[0]
    said = []
    for _ in range(NEW):
        given["in/a/attention_mask"] = np.ones_like(tokens)
        fixture = Fixture("qwen2_vl", {}, given | {"in/a/input_ids": tokens})
        arguments, _ = qwen2_vl.inputs(fixture, "a", config)
        _, logits, _ = qwen2_vl.forward(module, moved.params["vlm"], arguments)
        said.append(int(np.argmax(np.asarray(logits)[0, -1])))
        tokens = np.append(tokens, [[said[-1]]], axis=1)
    assert said == wanted.tolist() and len(set(said)) > 2
