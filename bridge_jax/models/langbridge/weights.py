"""Names of the adapter in LLaVA-style files: a Sequential of four."""

from bridge_jax.core.weights import Rule
from bridge_jax.models.langbridge.config import Config

_LAYERS = ((0, "inner"), (2, "outer"), (3, "words"))


def rules(config: Config, prefix: str = "mm_projector.") -> tuple[Rule, ...]:
    """One rule a tensor; the word embeddings are the language model's, not ours."""
    del config  # the table is the same at every size
    table = []
    for number, path in _LAYERS:
        table.append(Rule(f"{prefix}{number}.weight", f"{path}/kernel", "transpose"))
        table.append(Rule(f"{prefix}{number}.bias", f"{path}/bias"))
    return tuple(table)
