"""Both text encoders against transformers at tiny random sizes."""

import jax.numpy as jnp
import numpy as np
import pytest

from bridge_jax.core import weights as weights_lib
from bridge_jax.models.bert import config as bert_config
from bridge_jax.models.bert import model as bert_model
from bridge_jax.models.bert import weights as bert_table
from bridge_jax.models.mt5 import config as mt5_config
from bridge_jax.models.mt5 import model as mt5_model
from bridge_jax.models.mt5 import weights as mt5_table

pytestmark = pytest.mark.parity
torch = pytest.importorskip("torch", reason="torch is a test-only oracle")
transformers = pytest.importorskip("transformers")

TOLERANCE = 1e-4  # composed modules
TOKENS = np.array([[3, 14, 15, 9, 2, 6, 1], [7, 18, 2, 1, 0, 0, 0]])
MASK = (TOKENS > 0).astype(np.int64)


def relative_error(got, wanted) -> float:
    return float(np.abs(np.asarray(got) - wanted).max() / np.abs(wanted).max())


def disturb(model) -> dict[str, np.ndarray]:
    """Make every tensor (norms and biases too) random; return them all."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in model.parameters():
            tensor.add_(0.1 * torch.randn(tensor.shape, generator=generator))
    return {name: value.numpy() for name, value in model.state_dict().items()}


def encode(model, **kwargs) -> np.ndarray:
    with torch.no_grad():
        out = model.eval()(
            input_ids=torch.tensor(TOKENS), attention_mask=torch.tensor(MASK), **kwargs
        )
    return out.last_hidden_state.numpy()


@pytest.mark.parametrize("typed", [False, True])
def test_bert_matches_transformers(typed):
    oracle = transformers.BertModel(
        transformers.BertConfig(
            vocab_size=20,
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=24,
            max_position_embeddings=9,
            hidden_act="gelu",
            layer_norm_eps=1e-12,
        ),
        add_pooling_layer=False,
    )
    config = bert_config.Config(
        layers=2, hidden=16, heads=2, ffn=24, vocab=20, positions=9, length=7
    )
    tensors = disturb(oracle)
    params = weights_lib.to_flax(bert_table.rules(config), tensors)
    kinds = jnp.broadcast_to(jnp.arange(7)[None] // 4, TOKENS.shape) if typed else None
    more = {"token_type_ids": torch.tensor(np.asarray(kinds))} if typed else {}
    wanted = encode(oracle, **more)
    states = bert_model.Encoder(config).apply(
        {"params": params}, jnp.asarray(TOKENS), jnp.asarray(MASK), kinds
    )
    assert relative_error(states, wanted) < TOLERANCE
    assert relative_error(states * 1.01, wanted) > TOLERANCE


def test_mt5_matches_transformers():
    oracle = transformers.MT5EncoderModel(
        transformers.MT5Config(
            vocab_size=20,
            d_model=16,
            d_kv=6,
            d_ff=24,
            num_layers=2,
            num_heads=2,
            feed_forward_proj="gated-gelu",
        )
    )
    config = mt5_config.Config(
        layers=2, d_model=16, heads=2, d_kv=6, d_ff=24, vocab=20, length=7
    )
    tensors = disturb(oracle)
    tensors.pop("encoder.embed_tokens.weight")  # the table's other name
    params = weights_lib.to_flax(mt5_table.rules(config), tensors)
    wanted = encode(oracle)
    states = mt5_model.Encoder(config).apply(
        {"params": params}, jnp.asarray(TOKENS), jnp.asarray(MASK)
    )
    assert relative_error(states, wanted) < TOLERANCE
    assert relative_error(states * 1.01, wanted) > TOLERANCE
