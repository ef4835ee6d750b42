"""Reference names of the mT5 encoder, as in transformers' MT5EncoderModel."""

from bridge_jax.core.weights import Rule
from bridge_jax.layers import t5
from bridge_jax.models.mt5.config import Config


def rules(config: Config, prefix: str = "") -> tuple[Rule, ...]:
    """One rule a tensor; released files may repeat the table as `embed_tokens`."""
    table = Rule(f"{prefix}shared.weight", "token_embed/embedding")
    return (table, *t5.rules(config, f"{prefix}encoder."))
