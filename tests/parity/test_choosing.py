"""What is left to draw from, and how likely it is, against transformers' processors."""

import jax.numpy as jnp
import numpy as np
import pytest

from bridge_jax.inference.answering import choosing
from bridge_jax.inference.answering.choosing import Choice

torch = pytest.importorskip("torch")
process = pytest.importorskip("transformers.generation.logits_process")

pytestmark = pytest.mark.parity

CHOICES = [
    Choice(temperature=0.7, top_k=7),
    Choice(temperature=1.3, top_p=0.85),
    Choice(temperature=0.9, min_p=0.1),
    Choice(temperature=1.1, top_k=30, top_p=0.7, min_p=0.02, repetition_penalty=1.3),
    Choice(temperature=0.8, top_p=0.05, repetition_penalty=0.7),
]


def theirs(choice, scores, tokens):
    """Their processors, in the order in which `generate` applies them."""
    steps = [
        process.RepetitionPenaltyLogitsProcessor(choice.repetition_penalty),
        process.TemperatureLogitsWarper(choice.temperature),
    ]
    if choice.top_k:
        steps.append(process.TopKLogitsWarper(choice.top_k))
    if choice.top_p < 1:
        steps.append(process.TopPLogitsWarper(choice.top_p))
    if choice.min_p:
        steps.append(process.MinPLogitsWarper(choice.min_p))
    for step in steps:
        scores = step(tokens, scores)
    return scores.numpy()


@pytest.mark.parametrize("seed", range(4))
def test_scores_are_those_of_transformers(seed):
    draw = np.random.default_rng(seed)
    scores = draw.normal(0, 3, (len(CHOICES), 200)).astype(np.float32)
    tokens = draw.integers(0, 200, (len(CHOICES), 60))
    rules = choosing.rules(CHOICES)
    seen = choosing.prompt_tokens(jnp.asarray(tokens), jnp.ones(tokens.shape), 200)
    warm = choosing.penalised(jnp.asarray(scores), seen, rules["repetition_penalty"])
    warm = warm / rules["temperature"][:, None]
    least = choosing.floor(warm, rules["top_k"], rules["top_p"], rules["min_p"])
    found = np.where(warm < least[:, None], -np.inf, warm)
    for b, choice in enumerate(CHOICES):
        row = torch.from_numpy(scores[b : b + 1])
        wanted = theirs(choice, row, torch.from_numpy(tokens[b : b + 1]))[0]
        np.testing.assert_allclose(found[b], wanted, rtol=1e-6)
        assert 1 <= np.isfinite(wanted).sum() < 200
