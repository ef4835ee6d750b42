"""Names of LatentUMM's released stage-1 files."""

from collections.abc import Iterable

from bridge_jax.core.weights import Rule
from bridge_jax.models.latentumm.config import Config

_TOP = (
    ("aligner.text_proj", "aligner/text_in"),
    ("aligner.image_proj", "aligner/image_in"),
    ("aligner.single_to_latent", "aligner/single_out"),
    ("aligner.fuse.0", "aligner/fuse_in"),
    ("aligner.fuse.4", "aligner/fuse_out"),
    ("generator.net.0", "generator/inner"),
    ("generator.net.2", "generator/outer"),
    ("embedding_model.net.0", "reencoder/inner"),
    ("embedding_model.net.2", "reencoder/outer"),
)
_TOP_NORMS = (
    ("aligner.norm", "aligner/final_norm"),
    ("aligner.fuse.2", "aligner/fuse_norm"),
)
_BLOCK = (
    ("self_attn.out_proj", "out"),
    ("linear1", "up"),
    ("linear2", "down"),
)
_BLOCK_NORMS = (("norm1", "attention_norm"), ("norm2", "mlp_norm"))


def rules(config: Config, prefix: str = "") -> tuple[Rule, ...]:
    """One rule a tensor."""
    table = [Rule(f"{prefix}aligner.modality_embed", "aligner/modality")]
    table += _linears(prefix, "", _TOP) + _norms(prefix, "", _TOP_NORMS)
    for number in range(config.layers):
        theirs = f"{prefix}aligner.backbone.layers.{number}."
        ours = f"aligner/layers_{number}/"
        qkv = f"{theirs}self_attn.in_proj_"
        table.append(Rule(f"{qkv}weight", f"{ours}qkv/kernel", "transpose"))
        table.append(Rule(f"{qkv}bias", f"{ours}qkv/bias"))
        table += _linears(theirs, ours, _BLOCK) + _norms(theirs, ours, _BLOCK_NORMS)
    return tuple(table)


def _linears(theirs: str, ours: str, pairs: Iterable[tuple[str, str]]) -> list[Rule]:
    return [
        rule
        for name, path in pairs
        for rule in (
            Rule(f"{theirs}{name}.weight", f"{ours}{path}/kernel", "transpose"),
            Rule(f"{theirs}{name}.bias", f"{ours}{path}/bias"),
        )
    ]


def _norms(theirs: str, ours: str, pairs: Iterable[tuple[str, str]]) -> list[Rule]:
    return [
        rule
        for name, path in pairs
        for rule in (
            Rule(f"{theirs}{name}.weight", f"{ours}{path}/scale"),
            Rule(f"{theirs}{name}.bias", f"{ours}{path}/bias"),
        )
    ]
