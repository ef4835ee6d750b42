"""Folders that transformers and diffusers write: imported, run, exported, loaded again.

Outputs are compared in float32; what comes back into their library is the same model,
bit for bit.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bridge_jax.convert import plan
from bridge_jax.core import weights as weights_lib
from bridge_jax.models.hunyuan_dit import rotary
from bridge_jax.parity.components import qwen2_vl
from bridge_jax.parity.fixture import Fixture

pytestmark = pytest.mark.parity
torch = pytest.importorskip("torch", reason="torch is a test-only oracle")
transformers = pytest.importorskip("transformers")
diffusers = pytest.importorskip("diffusers")

from living import Moved, disturbed, error, qwen, text_model

COMPOSED = 1e-4


@pytest.mark.parametrize("tied", [False, True])
def test_qwen2_vl(tmp_path, tied):
    moved = Moved("qwen2_vl", qwen(tied), tmp_path)
    moved.check_same()
    config = moved.configs["vlm"]
    assert config.tied_embeddings is tied and config.image_pad == 90
    tokens = np.array([[5, 92, *[90] * 6, 93, 7, 8], [9, 10, 11, 12, *[0] * 7]])
    given = {
        "in/a/input_ids": tokens,
        "in/a/attention_mask": np.array([[1] * 11, [1] * 4 + [0] * 7]),
        "in/a/image_grid_thw": np.array([[1, 4, 6]]),
        "in/a/pixel_values": np.random.default_rng(0)
        .standard_normal((24, config.vision.patch_dim))
        .astype(np.float32),
    }
    arguments, _ = qwen2_vl.inputs(Fixture("qwen2_vl", {}, given), "a", config)
    model = moved.bundle["vlm"].module
    _, logits, _ = qwen2_vl.forward(model, moved.params["vlm"], arguments)
    names = ("input_ids", "attention_mask", "image_grid_thw", "pixel_values")
    feed = {name: torch.from_numpy(given[f"in/a/{name}"]) for name in names}
    feed["mm_token_type_ids"] = (feed["input_ids"] == 90).int()
    with torch.no_grad():
        wanted = moved.theirs(**feed).logits
    real = given["in/a/attention_mask"].astype(bool)
    assert error(np.asarray(logits)[real], wanted[torch.from_numpy(real)]) < COMPOSED


def test_mt5(tmp_path):
    config = transformers.MT5Config(
        vocab_size=40, d_model=16, d_kv=6, d_ff=24, num_layers=3, num_heads=2
    )
    moved = Moved("mt5", disturbed(transformers.MT5EncoderModel(config)), tmp_path)
    moved.check_same()
    tokens = np.array([[3, 14, 15, 9, 2], [7, 18, 2, 0, 0]])
    mask = (tokens > 0).astype(np.int64)
    ours = moved.apply("mt5", jnp.asarray(tokens), jnp.asarray(mask))
    feed = {"input_ids": torch.tensor(tokens), "attention_mask": torch.tensor(mask)}
    with torch.no_grad():
        assert error(ours, moved.theirs(**feed).last_hidden_state) < COMPOSED


def test_bert(tmp_path):
    config = transformers.BertConfig(
        vocab_size=40,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=24,
        max_position_embeddings=9,
    )
    theirs = transformers.BertModel(config, add_pooling_layer=False)
    moved = Moved("bert", disturbed(theirs), tmp_path)
    tokens = np.array([[3, 14, 15, 9, 2], [7, 18, 2, 0, 0]])
    mask = (tokens > 0).astype(np.int64)
    ours = moved.apply("bert", jnp.asarray(tokens), jnp.asarray(mask))
    feed = {"input_ids": torch.tensor(tokens), "attention_mask": torch.tensor(mask)}
    with torch.no_grad():
        assert error(ours, moved.theirs(**feed).last_hidden_state) < COMPOSED
        again = moved.again(**feed).last_hidden_state
        assert torch.equal(again, moved.theirs(**feed).last_hidden_state)


def test_autoencoder_kl(tmp_path):
    theirs = diffusers.AutoencoderKL(
        block_out_channels=(8, 16, 24),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        layers_per_block=2,
        latent_channels=4,
        norm_num_groups=4,
    )
    moved = Moved("autoencoder_kl", disturbed(theirs), tmp_path)
    moved.check_same()
    assert moved.again.config.scaling_factor == theirs.config.scaling_factor
    images = np.random.default_rng(0).uniform(-1, 1, (2, 16, 16, 3)).astype(np.float32)
    mean, _ = moved.apply("vae", jnp.asarray(images), method="encode")
    with torch.no_grad():
        fed = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
        latents = moved.theirs.encode(fed).latent_dist.mean
        drawn = moved.theirs.decode(latents).sample
    assert error(mean, latents.permute(0, 2, 3, 1)) < COMPOSED
    ours = moved.apply("vae", jnp.asarray(mean), method="decode")
    assert error(ours, drawn.permute(0, 2, 3, 1)) < COMPOSED


def test_hunyuan_dit(tmp_path):
    theirs = diffusers.HunyuanDiT2DModel(
        num_attention_heads=4,
        attention_head_dim=16,
        in_channels=4,
        patch_size=2,
        sample_size=16,
        hidden_size=64,
        num_layers=6,
        mlp_ratio=4.0,
        cross_attention_dim=32,
        cross_attention_dim_t5=48,
        text_len=7,
        text_len_t5=9,
        pooled_projection_dim=64,
        use_style_cond_and_image_meta_size=False,
    )
    moved = Moved("hunyuan_dit_diffusers", disturbed(theirs), tmp_path)
    moved.check_same()
    config = moved.configs["dit"]
    rng = np.random.default_rng(0)

    def normal(*shape):
        return rng.standard_normal(shape).astype(np.float32)

    given = {
        "latents": normal(2, 8, 12, 4),
        "timesteps": np.array([17.0, 500.0], np.float32),
        "clip_states": normal(2, 7, 32),
        "clip_mask": np.array([[1] * 7, [1] * 4 + [0] * 3]),
        "t5_states": normal(2, 9, 48),
        "t5_mask": np.array([[1] * 9, [1] * 5 + [0] * 4]),
    }
    ours = jax.jit(lambda **kwargs: moved.apply("dit", **kwargs))(**given)
    cos, sin = rotary.tables(4, 6, config.head_dim, config.base_grid)
    turn = tuple(torch.from_numpy(np.array(table[0, 0])) for table in (cos, sin))
    feed = {name: torch.from_numpy(array) for name, array in given.items()}
    with torch.no_grad():
        wanted = moved.theirs(
            feed["latents"].permute(0, 3, 1, 2),
            feed["timesteps"],
            encoder_hidden_states=feed["clip_states"],
            text_embedding_mask=feed["clip_mask"],
            encoder_hidden_states_t5=feed["t5_states"],
            text_embedding_mask_t5=feed["t5_mask"],
            image_rotary_emb=turn,
        ).sample
    assert error(ours, wanted.permute(0, 2, 3, 1)) < COMPOSED


@pytest.mark.parametrize("kind", ["qwen2", "qwen2_tied", "llama3"])
def test_decoder_lm(tmp_path, kind):
    moved = Moved("decoder_lm", text_model(kind), tmp_path)
    moved.check_same()
    config = moved.configs["lm"]
    assert config.qkv_bias is (kind != "llama3")
    assert config.tied_embeddings is (kind == "qwen2_tied")
    tokens = np.random.default_rng(0).integers(3, 60, (2, 40))
    mask = np.ones_like(tokens)
    mask[1, 30:] = 0
    positions = np.broadcast_to(np.arange(40), tokens.shape)

    def loss(params):
        hidden, _ = moved.bundle.apply("lm", params, tokens, positions, mask)
        logits = moved.bundle.apply("lm", params, hidden, method="logits")
        return jnp.sum(jnp.square(logits) * mask[..., None]) / mask.sum(), logits

    (value, logits), gradients = jax.value_and_grad(loss, has_aux=True)(moved.params)
    wanted = moved.theirs(
        input_ids=torch.tensor(tokens), attention_mask=torch.tensor(mask)
    ).logits
    real = torch.tensor(mask, dtype=torch.bool)
    assert error(np.asarray(logits)[mask == 1], wanted[real]) < COMPOSED
    theirs = wanted[real].square().sum() / mask.sum()
    theirs.backward()
    assert error(value, theirs) < COMPOSED
    table = plan.named("decoder_lm").rules(moved.configs)["lm"]
    ours = weights_lib.to_reference(table, gradients["lm"])
    named = dict(moved.theirs.named_parameters())
    for name in (
        "model.layers.0.self_attn.q_proj.weight",
        "model.layers.1.mlp.down_proj.weight",
        "model.embed_tokens.weight",
    ):
        assert error(ours[name], named[name].grad) < COMPOSED, name


def test_clip_vit(tmp_path):
    config = transformers.CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=3,
        num_attention_heads=2,
        image_size=16,
        patch_size=4,
        projection_dim=8,
    )
    theirs = disturbed(transformers.CLIPVisionModel(config))
    moved = Moved("clip_vit", theirs, tmp_path)
    moved.check_same()
    images = np.random.default_rng(0).standard_normal((2, 16, 16, 3)).astype(np.float32)
    features = moved.apply("clip", jnp.asarray(images))
    with torch.no_grad():
        fed = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
        out = theirs(fed, output_hidden_states=True)
    # LLaVA's and LangBridge's choice: the layer before the last, no class token.
    assert error(features, out.hidden_states[-2][:, 1:]) < COMPOSED
    pooled = moved.apply("clip", jnp.asarray(images), method="pooled")
    assert error(pooled, out.pooler_output) < COMPOSED
