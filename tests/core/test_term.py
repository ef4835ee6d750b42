import jax
import jax.numpy as jnp
import numpy as np

from bridge_jax.core import rng, term


def make(values, mask):
    values, mask = jnp.asarray(values), jnp.asarray(mask)
    pair = ((values * mask).sum(), mask.sum())
    return term.Term(*pair, {"twice": (2 * pair[0], pair[1])})


def test_merging_is_the_term_of_both():
    first, second = make([1.0, 2.0, 9.0], [1.0, 1.0, 0.0]), make([6.0], [1.0])
    both = term.merge(first, second)
    assert both.mean() == 3.0 != (first.mean() + second.mean()) / 2
    assert both.metrics["twice"] == (18.0, 3.0)


def test_nothing_weighed_is_zero_with_a_finite_gradient():
    def loss(x):
        return term.total({"a": (2.0, term.Term(x, jnp.zeros(())))})

    assert jax.value_and_grad(loss)(jnp.ones(())) == (0.0, 0.0)


def test_total_and_summary():
    terms = {"a": (2.0, make([3.0], [1.0])), "b": (0.5, make([4.0, 8.0], [1.0, 1.0]))}
    assert term.total(terms) == 2 * 3 + 0.5 * 6
    assert (
        term.total(terms, {"a": jnp.float32(3), "b": jnp.float32(1)})
        == 2 * 1 + 0.5 * 12
    )
    assert list(term.summary(terms)) == ["a", "a/twice", "b", "b/twice"]


def test_streams_are_functions_of_seed_name_step_and_part():
    def draw(*place):
        return float(jax.random.uniform(rng.stream(*place)))

    assert draw(1, "noise", 5) == draw(1, "noise", 5)
    others = [(2, "noise", 5), (1, "mask", 5), (1, "noise", 6), (1, "noise", 5, 0)]
    assert len({draw(1, "noise", 5), *(draw(*place) for place in others)}) == 5
    streams = rng.Streams(jnp.uint32(1), jnp.int32(5))
    assert float(jax.random.uniform(streams["noise"])) == draw(1, "noise", 5)
    # A stored value: another Python, process or machine must draw the same.
    data = jax.random.key_data(rng.stream(0, "dropout", 0))
    assert np.asarray(data).tolist() == STORED


STORED = [244916945, 3858068630]
