"""What a tower is shown must be cut as it reads."""

import jax

from bridge_jax.core.errors import BridgeError


def check(patches: jax.Array, width: int) -> None:
    """Raises BridgeError unless patches [..., D] have the D of their tower."""
    if patches.shape[-1] != width:
        raise BridgeError(
            f"patches have {patches.shape[-1]} values and the tower reads {width}: its"
            " sizes (patch, temporal) must be those of config.processor, and the"
            " stream one for such a tower"
        )
