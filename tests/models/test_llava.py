"""LLaVA's assembly: what is seen becomes words of whichever decoder it is."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import miniature
import numpy as np
import pytest

from bridge_jax.core import trees
from bridge_jax.core.errors import BridgeError
from bridge_jax.layers import kv_cache as kv
from bridge_jax.models import build
from bridge_jax.models.clip_vit import config as clip
from bridge_jax.models.llava import config as config_lib
from bridge_jax.sharding import place

CONNECTORS = ("linear", "mlp2x_gelu", "langbridge")
SMALL = {
    "llm": {"hidden_size": 32, "layers": 2, "head_dim": 8, "ffn_size": 48},
    "qwen2_vl": {"hidden_size": 24, "vision": {"depth": 1, "dim": 16, "heads": 2}},
    "langbridge": {"vision": 24, "hidden": 16, "vocab": 40},
    "words": tuple(range(100, 140)),
}
CLIP = {
    "tower": "clip_vit",
    "clip_vit": dataclasses.asdict(clip.SIZES["tiny"])
    | {"image": 16, "patch": 8, "hidden": 24, "layers": 2, "heads": 2, "ffn": 32},
}


def made(**changes):
    part = {"family": "llava", "size": "tiny"} | SMALL | changes
    bundle = build.build({"vlm": part})
    return bundle, miniature.params(bundle)


def program(bundle, method="__call__"):
    """The part jitted: its operations one by one would be hundreds of programs."""
    return jax.jit(functools.partial(bundle.apply, "vlm", method=method))


def seen(rows, frames, count, width, seed=0):
    """`frames` pictures of `count` patches in every row."""
    draw = np.random.default_rng(seed)
    coordinates = np.indices((2, count // 2)).reshape(2, -1).T
    return {
        "patches": draw.normal(size=(rows, frames * count, width)).astype("float32"),
        "coordinates": np.tile(coordinates, (rows, frames, 1)).astype("int32"),
        "patch_segments": np.tile(
            np.repeat(np.arange(1, frames + 1), count), (rows, 1)
        ).astype("int32"),
    }


def fields(length, visual, rows=2):
    index = np.full((rows, length), -1, np.int32)
    index[:, 1 : 1 + visual] = np.arange(visual)
    tokens = np.random.default_rng(1).integers(0, 576, (rows, length))
    return {
        "tokens": tokens.astype(np.int32),
        "positions": np.tile(np.arange(length, dtype=np.int32), (3, rows, 1)),
        "segments": np.ones((rows, length), np.int32),
        "image_index": index,
    }


@pytest.mark.parametrize("connector", CONNECTORS)
@pytest.mark.parametrize("tower", ["qwen2_vl", "clip_vit"])
def test_what_is_seen_stands_among_the_words(tower, connector):
    bundle, params = made(connector=connector, **(CLIP if tower == "clip_vit" else {}))
    given = seen(2, 2, 4, 192 if tower == "clip_vit" else 384)
    visual = 8 if tower == "clip_vit" else 2
    text = fields(12, visual)
    hidden, out = program(bundle)(params, **text, **given)
    assert hidden.shape == (2, 12, 32) and out["visual"].shape == (2, visual, 32)
    table = params["vlm"]["llm"]["embed_tokens"]["embedding"]
    words = table[text["tokens"]]
    there = slice(1, 1 + visual)
    np.testing.assert_array_equal(out["embeddings"][:, there], out["visual"])
    np.testing.assert_array_equal(out["embeddings"][:, :1], words[:, :1])
    after = out["embeddings"][:, 1 + visual :]
    np.testing.assert_array_equal(after, words[:, 1 + visual :])


@pytest.mark.parametrize(
    ("tower", "width"),
    [
        ({}, 384),
        (CLIP, 192),
        ({"tower": "given", "given": {"features": 40}, "connector": "mixture"}, 40),
    ],
)
def test_patches_of_another_width_are_refused(tower, width):
    bundle, params = made(**{"connector": "linear"} | tower)
    program(bundle)(params, **fields(12, 1), **seen(2, 1, 4, width))
    with pytest.raises(BridgeError, match=f"have 24 values and the .* reads {width}"):
        bundle.apply("vlm", params, **fields(12, 1), **seen(2, 1, 4, 24))


def test_frames_do_not_see_each_other():
    """Tiles of one picture are frames; a CLIP tower has no other way to see them."""
    bundle, params = made(connector="linear", **CLIP)
    given = seen(1, 2, 4, 192)
    features = functools.partial(program(bundle, "features"), params)
    both = features(**given)
    for frame in range(2):
        part = slice(4 * frame, 4 * frame + 4)
        alone = features(**{name: value[:, part] for name, value in given.items()})
        np.testing.assert_allclose(both[:, part], alone, atol=1e-5)


def visual_tokens(bundle, params, given):
    return program(bundle, "visual")(params, **given)


def mixed_by_hand(bundle, params, given, decoder, words):
    """What the adapter says of these rows of a decoder's own table."""

    def coefficients(model, features):
        return model.connector.coefficients(features)

    features = program(bundle, "features")(params, **given)
    mixed = program(bundle, coefficients)(params, features)
    table = decoder["vlm"]["llm"]["embed_tokens"]["embedding"]
    return np.einsum("bnw,wd->bnd", mixed, table[words])


def test_the_table_is_read_by_id_and_stays_as_it_is():
    bundle, params = made()
    given = seen(2, 1, 4, 384)

    by_hand = mixed_by_hand(bundle, params, given, params, slice(100, 140))
    found = visual_tokens(bundle, params, given)
    np.testing.assert_allclose(found, by_hand, atol=1e-5)

    def loss(params):
        return jnp.sum(visual_tokens(bundle, params, given) ** 2)

    gradient = trees.flatten(jax.jit(jax.grad(loss))(params))
    told = {path for path, leaf in gradient.items() if np.abs(leaf).max() > 0}
    assert not any(path.startswith("vlm/llm/") for path in told)
    adapter = {p for p in gradient if p.startswith("vlm/connector/")}
    assert adapter and adapter <= told


def test_given_coefficients_are_mixed_and_nothing_is_learnt_of_them():
    """Neither tower nor connector has parameters; the decoder alone is there."""
    words = SMALL["words"][:7]
    bundle, params = made(
        tower="given", given={"features": 7}, connector="mixture", words=words
    )
    assert params["vlm"].keys() == {"llm"}
    shares = np.random.default_rng(2).random((2, 3, 7)).astype("float32")
    given = {
        "patches": shares,
        "coordinates": np.zeros((2, 3, 2), np.int32),
        "patch_segments": np.ones((2, 3), np.int32),
    }
    table = params["vlm"]["llm"]["embed_tokens"]["embedding"]
    by_hand = shares @ table[words[0] : words[-1] + 1]
    found = visual_tokens(bundle, params, given)
    np.testing.assert_allclose(found, by_hand, atol=1e-5)
    told = program(bundle, "affinities")(params, **given)
    np.testing.assert_array_equal(told, shares)


def test_an_adapter_moves_to_another_decoder():
    """Other ids, another width and depth: the same parameters fit, the same mixture."""
    small, params = made()
    words = tuple(range(30, 70))
    wide = SMALL["llm"] | {"hidden_size": 48, "layers": 1, "vocab_size": 200}
    large, others = made(llm=wide, words=words)
    moved = others | {
        "vlm": others["vlm"]
        | {name: params["vlm"][name] for name in ("vision", "connector")}
    }
    given = seen(1, 1, 4, 384)
    found = visual_tokens(large, moved, given)
    assert found.shape == (1, 1, 48)

    by_hand = mixed_by_hand(small, params, given, others, slice(30, 70))
    np.testing.assert_allclose(found, by_hand, atol=1e-5)


def test_a_cache_continues_a_prompt_with_a_picture():
    bundle, params = made()
    apply = program(bundle)
    text, given = fields(9, 2), seen(2, 2, 4, 384)
    whole, _ = apply(params, **text, **given)
    cache = kv.empty(bundle["vlm"].config, 2, 9)
    prompt = {
        name: value[..., :6] if name == "positions" else value[:, :6]
        for name, value in text.items()
    }
    first, out = apply(params, **prompt, **given, cache=cache)
    np.testing.assert_allclose(first, whole[:, :6], atol=1e-5)
    then, _ = apply(
        params,
        text["tokens"][:, 6:],
        text["positions"][..., 6:],
        text["segments"][:, 6:],
        cache=out["cache"],
    )
    np.testing.assert_allclose(then, whole[:, 6:], atol=1e-5)


@pytest.mark.parametrize("size", config_lib.SIZES)
def test_every_size_traces(size):
    bundle = build.build({"vlm": {"family": "llava", "size": size}})
    shapes = place.unbox(bundle.abstract())["vlm"]
    assert shapes.keys() == {"vision", "connector", "llm"}
    again = build.build(bundle.description())
    assert again.description() == bundle.description()


def test_sizes_that_cannot_fit_are_all_told():
    with pytest.raises(BridgeError) as told:
        made(words=(100, 100, 576), langbridge={"vision": 23, "hidden": 16, "vocab": 4})
    for text in (
        "langbridge.vision 23 is not the tower's 24",
        "3 words for langbridge.vocab 4",
        "an id twice",
        "[576] are no ids of a vocabulary of 576",
    ):
        assert text in str(told.value)
    with pytest.raises(BridgeError, match="tower 'clip_vit' has no sizes"):
        made(tower="clip_vit")
    mixture = {"tower": "given", "given": {"features": 3}, "connector": "mixture"}
    with pytest.raises(BridgeError, match="2 words for the tower's 3 coeff.*no ids of"):
        made(words=(100, 576), **mixture)
    with pytest.raises(BridgeError, match=r"connector.*did you mean 'mlp2x_gelu'"):
        made(connector="mlp2_gelu")
