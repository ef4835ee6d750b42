"""Reference names of the aligner: T5's own, in OmniBridge files under `bilm.`."""

from bridge_jax.core.weights import Rule
from bridge_jax.layers import t5
from bridge_jax.models.bitransformer.config import Config


def rules(config: Config, prefix: str = "bilm.") -> tuple[Rule, ...]:
    """One rule a tensor."""
    shape = (1, config.queries, config.d_model)
    tokens = Rule(f"{prefix}query_tokens", "query_tokens", "squeeze0", shape)
    return (tokens, *t5.rules(config, prefix, config.cross_layers))
