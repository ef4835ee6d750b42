"""Names of LatentUMM's maps in the unified models that it was released for."""

from bridge_jax.core.weights import Rule
from bridge_jax.models.latent_maps.config import Config

_MAPS = (
    ("latentumm_hidden_to_embed", "to_embedding"),
    ("latentumm_embed_to_hidden", "to_hidden"),
)


def rules(config: Config, prefix: str = "") -> tuple[Rule, ...]:
    """One rule a tensor."""
    del config  # the table is the same at every size
    return tuple(
        rule
        for theirs, ours in _MAPS
        for number, layer in ((0, "inner"), (2, "outer"))
        for rule in (
            Rule(
                f"{prefix}{theirs}.{number}.weight",
                f"{ours}/{layer}/kernel",
                "transpose",
            ),
            Rule(f"{prefix}{theirs}.{number}.bias", f"{ours}/{layer}/bias"),
        )
    )
