"""What sharded training steps send: as recorded, and never a whole batch.

`python tests/census.py` records anew what a change was meant to move.
"""

import functools
import json
import math

import census
import jax
import pytest
from jax.sharding import PartitionSpec as P

GOLDEN = json.loads(census.GOLDEN.read_text())
RULES = tuple(census.MESHES)
AGAIN = "if that is meant, record it anew: python tests/census.py"
compiled = functools.cache(census.compiled)


def gathered(program):
    """Shapes of what its all-gathers leave on each device."""
    gathers = [one for one in program.found if one.kind == "all-gather"]
    return [shape for one in gathers for _, shape in one.arrays]


def too_large(program):
    """Those that no parameter accounts for; all numbers have four bytes."""
    most = program.largest_parameter
    return [shape for shape in gathered(program) if 4 * math.prod(shape) > most]


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("part", census.PROGRAMS)
def test_the_census_is_as_recorded(part, rules):
    assert GOLDEN["jax"] == jax.__version__, AGAIN
    counted = compiled(part, rules).figures()
    assert counted == GOLDEN["programs"][census.name(part, rules)], AGAIN


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("part", [one for one in census.PROGRAMS if one != "retrieval"])
def test_no_gather_is_larger_than_a_parameter(part, rules):
    """So neither a batch's states nor its logits are gathered; see tests/census.py."""
    program = compiled(part, rules)
    assert gathered(program)
    assert not too_large(program)


@pytest.mark.parametrize("rules", RULES)
def test_the_contrastive_loss_gathers_embeddings_alone(rules):
    """Neither the states they are made of, nor similarities, which are B x B."""
    program = compiled("retrieval", rules)
    embeddings = sorted((census.BATCH, census.EMBEDDING))
    assert embeddings in [sorted(shape) for shape in gathered(program)]
    assert not [s for s in too_large(program) if sorted(s) != embeddings]


def test_a_gathered_batch_is_noticed(monkeypatch):
    """The same step with a line too many: the aligner's output, whole everywhere."""
    plain = census.LOSSES["aligner"]

    def careless(bundle, params, batch):
        seen = jax.lax.with_sharding_constraint(batch["embeddings"] + 1, P())
        return plain(bundle, params, batch | {"embeddings": seen})

    monkeypatch.setitem(census.LOSSES, "aligner", careless)
    program = census.compiled("aligner", "fsdp")
    assert (census.BATCH, *census.STATES_SHAPE) in too_large(program)
    recorded = GOLDEN["programs"][census.name("aligner", "fsdp")]
    assert program.figures() != recorded
