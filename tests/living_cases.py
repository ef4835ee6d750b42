"""One tiny run of each original that transformers and diffusers keep.

A case is a model of theirs moved to ours and the same run on both sides: `ours(bundle,
params)` and `theirs()` give outputs of one shape, without what padding sees.
"""

import dataclasses
from collections.abc import Callable

import diffusers
import jax.numpy as jnp
import numpy as np
import torch
import transformers
from living import Moved, qwen, seeded, text_model

from bridge_jax.models.hunyuan_dit import rotary
from bridge_jax.parity.components import qwen2_vl
from bridge_jax.parity.fixture import Fixture

TOKENS = np.array([[3, 14, 15, 9, 2], [7, 18, 2, 0, 0]])
MASK = (TOKENS > 0).astype(np.int64)


@dataclasses.dataclass
class Case:
    part: str
    moved: Moved
    ours: Callable
    theirs: Callable


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def to_nchw(images):
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))


def _qwen2_vl(folder, tied):
    moved = Moved("qwen2_vl", qwen(tied), folder)
    config = moved.configs["vlm"]
    assert config.tied_embeddings is tied and config.image_pad == 90
    mask = np.array([[1] * 11, [1] * 4 + [0] * 7])
    given = {
        "input_ids": np.array(
            [[5, 92, *[90] * 6, 93, 7, 8], [9, 10, 11, 12, *[0] * 7]]
        ),
        "attention_mask": mask,
        "image_grid_thw": np.array([[1, 4, 6]]),
        "pixel_values": normal(24, config.vision.patch_dim),
    }
    recorded = {f"in/a/{name}": array for name, array in given.items()}
    arguments, _ = qwen2_vl.inputs(Fixture("qwen2_vl", {}, recorded), "a", config)

    def ours(bundle, params):
        hidden, _ = bundle.apply("vlm", params, **arguments)
        return bundle.apply("vlm", params, hidden, method="logits")[mask == 1]

    def theirs():
        feed = {name: torch.from_numpy(array) for name, array in given.items()}
        feed["mm_token_type_ids"] = (feed["input_ids"] == 90).int()
        return moved.theirs(**feed).logits[torch.tensor(mask == 1)]

    return Case("vlm", moved, ours, theirs)


def _decoder_lm(folder, kind):
    moved = Moved("decoder_lm", text_model(kind), folder)
    config = moved.configs["lm"]
    assert config.qkv_bias is (kind != "llama3")
    assert config.tied_embeddings is (kind == "qwen2_tied")
    tokens = np.random.default_rng(0).integers(3, 60, (2, 40))
    mask = np.ones_like(tokens)
    mask[1, 30:] = 0
    positions = np.broadcast_to(np.arange(40), tokens.shape)

    def ours(bundle, params):
        hidden, _ = bundle.apply("lm", params, tokens, positions, mask)
        return bundle.apply("lm", params, hidden, method="logits")[mask == 1]

    def theirs():
        feed = {"input_ids": tokens, "attention_mask": mask}
        out = moved.theirs(**{name: torch.tensor(one) for name, one in feed.items()})
        return out.logits[torch.tensor(mask == 1)]

    return Case("lm", moved, ours, theirs)


def _encoder(form, model, folder, kinds=None, **loading):
    moved = Moved(form, model, folder, **loading)
    feed = {"input_ids": TOKENS, "attention_mask": MASK}
    if kinds is not None:
        feed["token_type_ids"] = kinds

    def ours(bundle, params):
        more = () if kinds is None else (kinds,)
        return bundle.apply(form, params, TOKENS, MASK, *more)[MASK == 1]

    def theirs():
        given = {name: torch.tensor(array) for name, array in feed.items()}
        return moved.theirs(**given).last_hidden_state[torch.tensor(MASK == 1)]

    return Case(form, moved, ours, theirs)


def _mt5(folder):
    config = transformers.MT5Config(
        vocab_size=40, d_model=16, d_kv=6, d_ff=24, num_layers=3, num_heads=2
    )
    return _encoder("mt5", seeded(transformers.MT5EncoderModel, config), folder)


def _bert(folder, kinds=None):
    config = transformers.BertConfig(
        vocab_size=40,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=24,
        max_position_embeddings=9,
    )
    pooler = {"add_pooling_layer": False}  # ours has none
    model = seeded(transformers.BertModel, config, **pooler)
    return _encoder("bert", model, folder, kinds, **pooler)


def _bert_of_two_texts(folder):
    return _bert(folder, np.array([[0, 0, 0, 1, 1], [0, 1, 1, 0, 0]]))


def _clip_vit(folder):
    config = transformers.CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=3,
        num_attention_heads=2,
        image_size=16,
        patch_size=4,
        projection_dim=8,
    )
    moved = Moved("clip_vit", seeded(transformers.CLIPVisionModel, config), folder)
    images = normal(2, 16, 16, 3)

    def ours(bundle, params):
        features = bundle.apply("clip", params, images)
        pooled = bundle.apply("clip", params, images, method="pooled")
        return jnp.concatenate([features, pooled[:, None]], axis=1)

    def theirs():
        out = moved.theirs(to_nchw(images), output_hidden_states=True)
        # LLaVA's and LangBridge's choice: the layer before the last, no class token.
        features = out.hidden_states[-2][:, 1:]
        return torch.cat([features, out.pooler_output[:, None]], dim=1)

    return Case("clip", moved, ours, theirs)


def _autoencoder_kl(folder):
    model = seeded(
        diffusers.AutoencoderKL,
        block_out_channels=(8, 16, 24),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        layers_per_block=2,
        latent_channels=4,
        norm_num_groups=4,
    )
    moved = Moved("autoencoder_kl", model, folder)
    assert moved.again.config.scaling_factor == model.config.scaling_factor
    images = np.random.default_rng(0).uniform(-1, 1, (2, 16, 16, 3)).astype(np.float32)

    def ours(bundle, params):
        mean, logvar = bundle.apply("vae", params, jnp.asarray(images), method="encode")
        drawn = bundle.apply("vae", params, mean, method="decode")
        return jnp.concatenate([each.ravel() for each in (mean, logvar, drawn)])

    def theirs():
        latents = moved.theirs.encode(to_nchw(images)).latent_dist
        drawn = moved.theirs.decode(latents.mean).sample
        each = (latents.mean, latents.logvar, drawn)
        return torch.cat([one.permute(0, 2, 3, 1).ravel() for one in each])

    return Case("vae", moved, ours, theirs)


def _hunyuan_dit(folder):
    model = seeded(
        diffusers.HunyuanDiT2DModel,
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
    moved = Moved("hunyuan_dit_diffusers", model, folder)
    config = moved.configs["dit"]
    given = {
        "latents": normal(2, 8, 12, 4),
        "timesteps": np.array([17.0, 500.0], np.float32),
        "clip_states": normal(2, 7, 32, seed=1),
        "clip_mask": np.array([[1] * 7, [1] * 4 + [0] * 3]),
        "t5_states": normal(2, 9, 48, seed=2),
        "t5_mask": np.array([[1] * 9, [1] * 5 + [0] * 4]),
    }

    def ours(bundle, params):
        return bundle.apply("dit", params, **given)

    def theirs():
        cos, sin = rotary.tables(4, 6, config.head_dim, config.base_grid)
        turn = tuple(torch.from_numpy(np.array(table[0, 0])) for table in (cos, sin))
        feed = {name: torch.from_numpy(array) for name, array in given.items()}
        out = moved.theirs(
            feed["latents"].permute(0, 3, 1, 2),
            feed["timesteps"],
            encoder_hidden_states=feed["clip_states"],
            text_embedding_mask=feed["clip_mask"],
            encoder_hidden_states_t5=feed["t5_states"],
            text_embedding_mask_t5=feed["t5_mask"],
            image_rotary_emb=turn,
        )
        return out.sample.permute(0, 2, 3, 1)

    return Case("dit", moved, ours, theirs)


CASES: dict[str, Callable] = {
    "qwen2_vl": lambda folder: _qwen2_vl(folder, tied=False),
    "qwen2_vl_tied": lambda folder: _qwen2_vl(folder, tied=True),
    "qwen2": lambda folder: _decoder_lm(folder, "qwen2"),
    "qwen2_tied": lambda folder: _decoder_lm(folder, "qwen2_tied"),
    "llama3": lambda folder: _decoder_lm(folder, "llama3"),
    "mt5": _mt5,
    "bert": _bert,
    "bert_of_two_texts": _bert_of_two_texts,
    "clip_vit": _clip_vit,
    "autoencoder_kl": _autoencoder_kl,
    "hunyuan_dit": _hunyuan_dit,
}
