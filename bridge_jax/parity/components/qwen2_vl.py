"""Qwen2-VL: vision tower, position ids, language model, loss and greedy decoding."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from bridge_jax.core import weights as tables
from bridge_jax.data import mrope, patches
from bridge_jax.layers import kv_cache as kv
from bridge_jax.models.qwen2_vl import config as config_lib
from bridge_jax.models.qwen2_vl import vision, weights
from bridge_jax.models.qwen2_vl.model import Qwen2VL, insert
from bridge_jax.parity.comparison import COMPOSED, EXACT, SINGLE, Value
from bridge_jax.parity.fixture import Fixture

LEFT_OUT: dict[str, str] = {}
STATES = ("inputs_embeds", "last_hidden_state", "logits")


def config(fixture: Fixture) -> config_lib.Config:
    c = fixture.config
    ids = c["ids"]
    return config_lib.Config(
        head_dim=c["hidden"] // c["heads"],
        mrope_sections=tuple(c["mrope"]),
        image_pad=ids["image"],
        video_pad=ids["video"],
        vision_start=ids["vision_start"],
        vision_end=ids["vision_end"],
        eos=ids["eos"],
        pad=ids["pad"],
        vision=config_lib.VisionConfig(
            **fixture.sizes(
                depth="vdepth",
                dim="vdim",
                heads="vheads",
                patch="patch",
                mlp_ratio="mlp_ratio",
                eps="vision_ln_eps",
                theta="vision_rope_theta",
            )
        ),
        **fixture.sizes(
            vocab_size="vocab",
            hidden_size="hidden",
            layers="layers",
            heads="heads",
            kv_heads="kv",
            ffn_size="inter",
            theta="theta",
            eps="rms_norm_eps",
            tied_embeddings="tie",
        ),
    )


def rules(fixture: Fixture) -> list[list[tables.Rule]]:
    return [weights.rules(config(fixture))]


def compute(fixture: Fixture) -> Iterator[Value]:
    model = Qwen2VL(config(fixture))
    [table] = rules(fixture)
    params = tables.to_flax(table, fixture.weights)
    for case in fixture.cases("out"):
        arguments, deltas = inputs(fixture, case, model.config)
        yield Value(f"out/{case}/rope_deltas", deltas[:, None], EXACT)
        if f"out/{case}/step_logits" in fixture:
            yield from _decode(fixture, case, model, params, arguments, deltas)
        else:
            yield from _forward(fixture, case, model, params, arguments, table)


def inputs(fixture, case, config):
    """The model's arguments, pictures packed into their rows, and the rope deltas."""
    tokens = fixture[f"in/{case}/input_ids"].astype(np.int32)
    attention_mask = fixture[f"in/{case}/attention_mask"]
    media = _media(fixture, case, config)
    merge = config.vision.merge
    visual = np.isin(tokens, list(media))
    rows = [_shown(row, media, merge) for row in tokens]
    grids = [[grid for _, grid in row] for row in rows]
    ids, deltas = mrope.batch_positions(visual, attention_mask, grids, merge)
    arguments = {
        "tokens": tokens,
        "positions": ids,
        "segments": attention_mask.astype(np.int32),
    }
    if any(rows):
        longest = max(sum(len(flat) for flat, _ in row) for row in rows)
        packed = patches.pack(rows, longest, config.vision.patch_dim, merge)
        names = ("patches", "coordinates", "patch_segments")
        arguments |= dict(zip(names, packed, strict=True))
        arguments["image_index"] = mrope.image_index(visual)
    return arguments, np.asarray(deltas)


def _media(fixture, case, config):
    """The case's pictures as {pad token: [(patches, grid), ...]}, in given order."""
    given, found = fixture.below(f"in/{case}/"), {}
    for pad, grids, pixels in (
        (config.image_pad, "image_grid_thw", "pixel_values"),
        (config.video_pad, "video_grid_thw", "pixel_values_videos"),
    ):
        shown = given.get(grids, np.zeros((0, 3), np.int64))
        ends = np.cumsum(shown.prod(axis=1))
        flat = np.split(given[pixels], ends[:-1]) if len(shown) else []
        found[pad] = list(zip(flat, shown, strict=True))
    return found


def _shown(row, media, merge):
    """Take the row's pictures from `media`, in the order of their placeholders."""
    shown, index = [], 0
    while index < len(row):
        if row[index] in media:
            shown.append(media[row[index]].pop(0))
            index += mrope.visual_length(shown[-1][1], merge)
        else:
            index += 1
    return shown


def forward(model, params, arguments):
    hidden, out = model.apply({"params": params}, **arguments)
    return hidden, model.apply({"params": params}, hidden, method="logits"), out


def _loss(logits, labels):
    """Shifted cross-entropy, -100 ignored: mean over the labelled positions."""
    targets = jnp.asarray(labels[:, 1:])
    log_p = jax.nn.log_softmax(logits[:, :-1])
    chosen = jnp.take_along_axis(log_p, jnp.maximum(targets, 0)[..., None], axis=-1)
    counted = targets != -100
    return -jnp.where(counted, chosen[..., 0], 0.0).sum() / counted.sum()


def _forward(fixture, case, model, params, arguments, table) -> Iterator[Value]:
    labels = fixture[f"in/{case}/labels"]

    def loss(params):
        hidden, logits, out = forward(model, params, arguments)
        return _loss(logits, labels), (hidden, logits, out)

    value, (hidden, logits, out) = jax.jit(loss)(params)
    yield Value(f"out/{case}/loss", value, SINGLE)
    yield Value(f"out/{case}/position_ids", arguments["positions"], EXACT)
    # A padded position attends to other padding here and to the row's tokens there:
    # nothing reads either.
    real = arguments["segments"] != 0
    states = (out["embeddings"], hidden, logits)
    for name, ours in zip(STATES, states, strict=True):
        yield Value(f"out/{case}/{name}", ours, COMPOSED, where=real)
    yield from _pictures(fixture, case, model.config, arguments, out)
    recorded = fixture.below(f"grad/{case}/")
    if recorded:
        gradients = jax.jit(jax.grad(lambda p: loss(p)[0]))(params)
        ours = tables.to_reference(table, gradients)
        for name in recorded:
            yield Value(f"grad/{case}/{name}", ours[name], COMPOSED)


def _pictures(fixture, case, config, arguments, out) -> Iterator[Value]:
    if "image_index" not in arguments:
        return
    states = jnp.zeros((*arguments["tokens"].shape, config.hidden_size))
    shown = insert(states, out["visual"], arguments["image_index"])
    for kind, pad in (("image", config.image_pad), ("video", config.video_pad)):
        if f"out/{case}/{kind}_embeds" in fixture:
            ours = shown[arguments["tokens"] == pad]
            yield Value(f"out/{case}/{kind}_embeds", ours, COMPOSED)
    if f"out/{case}/rot_pos_emb" in fixture:
        yield Value(f"out/{case}/rot_pos_emb", _angles(fixture, case, config), SINGLE)


def _angles(fixture, case, config):
    """The rotary angles [patches, head_dim / 2] of the case's images.

    Ours come as cosine and sine; in float64 they give the angle up to whole turns,
    which the recorded angle settles.
    """
    grids = fixture[f"in/{case}/image_grid_thw"]
    coordinates, _ = patches.patch_coordinates(grids, config.vision.merge)
    width = config.vision.head_dim
    cos, sin = vision.axial_rotary(
        jnp.asarray(coordinates)[None], width, config.vision.theta
    )
    half = width // 2
    cos, sin = (np.asarray(x[0, 0, :, :half], np.float64) for x in (cos, sin))
    angles, recorded = np.arctan2(sin, cos), fixture[f"out/{case}/rot_pos_emb"]
    turns = np.round((recorded - angles) / (2 * np.pi))
    return angles + 2 * np.pi * turns


def _decode(fixture, case, model, params, arguments, deltas) -> Iterator[Value]:
    steps = fixture[f"out/{case}/step_logits"].shape[1]
    decode = jax.jit(lambda p, a, d: _greedy(model, p, a, d, steps))
    tokens, logits = decode(params, arguments, deltas)
    sequences = np.concatenate([arguments["tokens"], np.asarray(tokens)], axis=1)
    yield Value(f"out/{case}/sequences", sequences, EXACT)
    yield Value(f"out/{case}/step_logits", logits, COMPOSED)


def _greedy(model, params, arguments, deltas, steps):
    """(tokens [B, steps], logits [B, steps, V]) with a cache; rows never stop."""
    batch, length = arguments["tokens"].shape
    memory = kv.empty(model.config, batch, length + steps - 1)

    def head(hidden):
        return model.apply({"params": params}, hidden, method="logits")[:, 0]

    hidden, out = model.apply({"params": params}, **arguments, cache=memory)
    logits = jnp.zeros((batch, steps, model.config.vocab_size))
    logits = logits.at[:, 0].set(head(hidden[:, -1:]))

    def step(state):
        index, memory, logits = state
        token = jnp.argmax(logits[:, index - 1], axis=-1)[:, None]
        hidden, out = model.apply(
            {"params": params},
            token,
            kv.next_positions(memory, deltas),
            jnp.ones_like(token),
            cache=memory,
        )
        return index + 1, out["cache"], logits.at[:, index].set(head(hidden))

    state = (jnp.int32(1), out["cache"], logits)
    _, _, logits = jax.lax.while_loop(lambda state: state[0] < steps, step, state)
    return jnp.argmax(logits, axis=-1), logits
