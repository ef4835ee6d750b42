"""Reference name of the projector in OmniBridge files."""

from bridge_jax.core.weights import Rule
from bridge_jax.models.projector.config import Config


def rules(config: Config, prefix: str = "") -> tuple[Rule, ...]:
    """One rule: the kernel."""
    del config  # the table is the same at every size
    name = f"{prefix}downsampling_linear_layer.weight"
    return (Rule(name, "dense/kernel", "transpose"),)
