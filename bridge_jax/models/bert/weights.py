"""Reference names of the text encoder, as in transformers' BertModel."""

from bridge_jax.core.weights import Rule
from bridge_jax.models.bert.config import Config

_TABLES = (
    ("word_embeddings", "token_embed"),
    ("position_embeddings", "position_embed"),
    ("token_type_embeddings", "type_embed"),
)
_DENSE = (
    ("attention.self.query", "attention/query"),
    ("attention.self.key", "attention/key"),
    ("attention.self.value", "attention/value"),
    ("attention.output.dense", "attention/out"),
    ("intermediate.dense", "up"),
    ("output.dense", "down"),
)
_NORMS = (
    ("attention.output.LayerNorm", "attention_norm"),
    ("output.LayerNorm", "mlp_norm"),
)


def rules(config: Config, prefix: str = "") -> tuple[Rule, ...]:
    """One rule a tensor; the pooler of released files is not used."""
    table = [
        Rule(f"{prefix}embeddings.{theirs}.weight", f"{ours}/embedding")
        for theirs, ours in _TABLES
    ]
    table += _norm(f"{prefix}embeddings.LayerNorm", "embed_norm")
    for i in range(config.layers):
        layer, path = f"{prefix}encoder.layer.{i}", f"layers_{i}"
        for theirs, ours in _DENSE:
            name = f"{layer}.{theirs}"
            table.append(Rule(f"{name}.weight", f"{path}/{ours}/kernel", "transpose"))
            table.append(Rule(f"{name}.bias", f"{path}/{ours}/bias"))
        for theirs, ours in _NORMS:
            table += _norm(f"{layer}.{theirs}", f"{path}/{ours}")
    return tuple(table)


def _norm(reference: str, path: str) -> list[Rule]:
    return [
        Rule(f"{reference}.weight", f"{path}/scale"),
        Rule(f"{reference}.bias", f"{path}/bias"),
    ]
