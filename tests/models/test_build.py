"""From descriptions to bundles and back."""

import json

import jax
import miniature
import numpy as np
import pytest

from bridge_jax.core.errors import BridgeError
from bridge_jax.layers import linear
from bridge_jax.models import build
from bridge_jax.models import bundle as bundle_lib
from configs import common


@pytest.mark.parametrize("table", [common.TINY, common.PUBLISHED])
def test_a_description_survives_json(table):
    made = build.build(table)
    again = build.build(json.loads(json.dumps(made.description())))
    assert list(again.parts) == list(table)
    for name, part in made.parts.items():
        assert again[name].config == part.config, name
        assert again[name].family == part.family


def test_every_part_initialises_with_names():
    bundle = miniature.bundle()
    shapes = bundle.abstract()
    assert shapes.keys() == common.TINY.keys()
    for part in shapes.values():
        assert jax.tree.leaves(part)
    assert jax.tree.all(
        jax.tree.map(lambda a, b: a == b, shapes, jax.eval_shape(bundle.init, 0))
    )


@pytest.mark.parametrize(
    "description",
    [
        {"family": "qwen2_vl", "layers": 5, "vision": {"depth": 4}},
        {"family": "mt5", "layers": 4},
        {"family": "bert", "layers": 4},
        # Layers of two kinds, in an order of their own.
        {"family": "bitransformer", "layers": 6, "cross_layers": (0, 2, 3)},
        {"family": "hunyuan_dit", "depth": 8},
    ],
    ids=lambda description: description["family"],
)
def test_of_layers_that_are_alike_one_is_traced(monkeypatch, description):
    """And has the names, shapes, dtypes and axes that all of them have."""
    asked = []
    made = linear.param

    def param(module, *given):
        asked.append(module.scope.path_text)
        return made(module, *given)

    monkeypatch.setattr(linear, "param", param)
    monkeypatch.setattr(bundle_lib, "_ABSTRACT", {})  # whatever ran before
    bundle = build.build({"part": description | {"size": "tiny"}})
    shapes = bundle.abstract()
    few, whole = len(asked), jax.eval_shape(bundle.init, 0)
    assert jax.tree.structure(shapes) == jax.tree.structure(whole)
    assert jax.tree.leaves(shapes) == jax.tree.leaves(whole)
    assert 0 < few < 0.7 * (len(asked) - few)


def test_shapes_are_traced_once_and_are_nobodys_to_change():
    first, second = (miniature.bundle("projector").abstract() for _ in range(2))
    kept = list(zip(*map(jax.tree.leaves, (first, second)), strict=True))
    assert kept and all(one is two for one, two in kept)
    first["projector"].clear()
    assert second["projector"] and miniature.bundle("projector").abstract() == second
    # Nor are they another config's.
    wide = miniature.config("configs/shapes_stage2.py:tiny").model["projector"]
    wide["hidden"] *= 2
    other = build.build({"projector": wide}).abstract()
    assert other != second


def test_overrides_reach_into_groups():
    vision = miniature.bundle("vlm")["vlm"].config.vision
    assert (vision.depth, vision.dim, vision.patch) == (1, 16, 8)


def test_all_mistakes_are_told_with_the_nearest_names():
    wrong = {
        "vlm": {"family": "qwen2_vI", "size": "tiny"},
        "mt5": {"family": "mt5", "size": "tny"},
        "dit": {"family": "hunyuan_dit", "size": "tiny", "hiden": 3},
        "vae": {"size": "tiny"},
        "bert": {"family": "bert"},
    }
    with pytest.raises(BridgeError) as caught:
        build.build(wrong)
    message = str(caught.value)
    for part in (
        "model.vlm.family 'qwen2_vI' is unknown (did you mean 'qwen2_vl'?)",
        "model.mt5.size 'tny' is none of tiny, xl (did you mean 'tiny'?)",
        "unknown key model.dit.hiden (did you mean 'hidden'?)",
        "model.vae.family None is unknown",
        "model.bert.layers is missing",
    ):
        assert part in message


def test_a_missing_part_is_named():
    bundle = miniature.bundle("projector", "retrieval")
    assert "projector" in bundle and "dit" not in bundle
    with pytest.raises(BridgeError, match="no part 'dit': it has projector, retrieval"):
        bundle["dit"]


def test_adding_a_part_changes_no_other():
    alone = miniature.bundle("projector").init(3)["projector"]
    more = miniature.bundle("aligner", "projector").init_part("projector", 3)
    other = miniature.bundle("projector").init_part("projector", 4)
    jax.tree.map(np.testing.assert_array_equal, alone, more)
    assert not all(jax.tree.leaves(jax.tree.map(np.array_equal, alone, other)))


def test_one_dtype_goes_for_nested_parts_too():
    given = {
        "vlm": {"family": "llava", "size": "tiny"},
        "vae": {"family": "autoencoder_kl", "size": "tiny"},
    }
    told = build.in_dtype(given, "bfloat16")
    made = build.build(told)
    config = made["vlm"].config
    inner = (config, config.llm, config.qwen2_vl, config.langbridge, made["vae"].config)
    assert (
        {one.dtype for one in inner}
        == {one.param_dtype for one in inner}
        == {"bfloat16"}
    )
