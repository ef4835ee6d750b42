"""How much arithmetic a step is, for the TFLOP/s of the log line."""

import math
from typing import Any

from jax.stages import Compiled


def of_compiled(compiled: Compiled) -> float:
    """FLOPs of one execution on one device, as XLA counts them; nan if it does not.

    XLA counts the body of a loop once: right for unrolled layers, not for a scan.
    """
    cost: Any = compiled.cost_analysis()
    return float(cost.get("flops", math.nan)) if cost else math.nan


def of_transformer(parameters: int, tokens: int) -> float:
    """6 N T, forward and backward of `tokens` tokens through dense layers."""
    return 6.0 * parameters * tokens
