"""What a tower is shown must be cut as it reads."""

from jaxtyping import Float

from bridge_jax.core.errors import BridgeError
from bridge_jax.core.types import Array


def check(patches: Float[Array, "*B I"], width: int) -> None:
    """Raises BridgeError unless patches [..., D] have the D of their tower."""
    if patches.shape[-1] != width:
        raise BridgeError(
            f"patches have {patches.shape[-1]} values and the tower reads {width}: its"
            " sizes (patch, temporal) must be those of config.processor, and the"
            " stream one for such a tower"
        )
