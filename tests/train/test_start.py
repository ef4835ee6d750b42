"""What a run begins with: files before mT5's weights, and these before fresh ones."""

import miniature
import numpy as np
import pytest

from bridge_jax.checkpoint import weights_file
from bridge_jax.core import trees
from bridge_jax.core.errors import BridgeError
from bridge_jax.models.bitransformer import initialise
from bridge_jax.sharding import mesh, place, rules
from bridge_jax.train import start

PARTS = ("mt5", "aligner")
BUNDLE = miniature.bundle(*PARTS)
LAYOUT = place.Layout(mesh.make_mesh({"fsdp": 2, "data": -1}), rules.table("fsdp_tp"))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """(where random weights of the parts are, what they are)."""
    folder, params = tmp_path_factory.mktemp("start"), miniature.params(BUNDLE, seed=3)
    weights_file.save(folder, params, {"model": BUNDLE.description(), "processor": {}})
    return folder, params


def begun(saved, *destinations, how="by_role", bundle=BUNDLE):
    given = {to: f"{saved[0]}:{to}" for to in destinations}
    made = start.Start(0, given, how, start.Lora()).params(bundle, LAYOUT)
    return {path: np.asarray(leaf) for path, leaf in trees.flatten(made).items()}


def same(found, wanted):
    assert found.keys() == wanted.keys()
    for path, leaf in wanted.items():
        np.testing.assert_array_equal(found[path], np.asarray(leaf), err_msg=path)


def test_an_aligner_that_is_given_stays(saved):
    """Going on from an aligner is not beginning from mT5 once more."""
    same(begun(saved, *PARTS), trees.flatten(saved[1]))


def test_an_aligner_that_is_not_given_takes_over_mt5s_weights(saved):
    found = begun(saved, "mt5")
    mt5, aligner = (trees.flatten(saved[1][name]) for name in PARTS)
    copied = initialise.plan(saved[1]["mt5"], saved[1]["aligner"], "by_role")
    assert len(copied) > 5
    for to, at in copied.items():
        np.testing.assert_array_equal(found[f"aligner/{to}"], mt5[at])
    assert not np.array_equal(found["aligner/query_tokens"], aligner["query_tokens"])


def test_a_part_of_an_aligner_that_is_given_stays(saved):
    layer = "aligner/layers_0"
    found, given = begun(saved, "mt5", layer), trees.flatten(saved[1])
    whole = begun(saved, "mt5")
    kept = [path for path in given if path.startswith(f"{layer}/")]
    same({p: found[p] for p in kept}, {p: given[p] for p in kept})
    same(
        {path: leaf for path, leaf in found.items() if path not in kept},
        {path: leaf for path, leaf in whole.items() if path not in kept},
    )


def test_without_mt5_there_is_nothing_to_take_over(saved):
    alone = miniature.bundle("aligner")
    with pytest.raises(BridgeError, match="this model has no part mt5"):
        begun(saved, bundle=alone)
    found = begun(saved, "aligner", bundle=alone)
    same(found, trees.flatten({"aligner": saved[1]["aligner"]}))
