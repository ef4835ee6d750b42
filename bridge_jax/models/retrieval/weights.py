"""Reference names of the retrieval heads in OmniBridge files."""

from bridge_jax.core.weights import Rule
from bridge_jax.models.retrieval.config import Config

_POOLS = (
    ("image_proj", "image_pool"),
    ("image_proj_1", "image_backbone_pool"),
    ("text_proj", "text_pool"),
    ("text_proj_1", "text_backbone_pool"),
)
_NORMS = (
    ("norm1_q", "query_norm"),
    ("norm1_k", "key_norm"),
    ("norm1_v", "value_norm"),
)
_DENSE = (("q", "query"), ("k", "key"), ("v", "value"), ("proj", "out"))
_SCALARS = (
    ("fusion_alpha_image", "image_alpha"),
    ("fusion_alpha_text", "text_alpha"),
    ("logit_scale", "logit_scale"),
)


def rules(config: Config, prefix: str = "") -> tuple[Rule, ...]:
    """One rule a tensor."""
    table = [Rule(f"{prefix}{theirs}", ours) for theirs, ours in _SCALARS]
    for name, number in (
        ("image_queries", config.image_queries),
        ("text_queries", config.text_queries),
    ):
        shape = (1, number, config.d_model)
        table.append(Rule(f"{prefix}{name}", name, "squeeze0", shape))
    for pool, path in _POOLS:
        for theirs, ours in _NORMS:
            name = f"{prefix}{pool}.{theirs}"
            table.append(Rule(f"{name}.weight", f"{path}/{ours}/scale"))
            table.append(Rule(f"{name}.bias", f"{path}/{ours}/bias"))
        for theirs, ours in _DENSE:
            name = f"{prefix}{pool}.cross_attn.{theirs}"
            table.append(Rule(f"{name}.weight", f"{path}/{ours}/kernel", "transpose"))
            table.append(Rule(f"{name}.bias", f"{path}/{ours}/bias"))
    return tuple(table)
