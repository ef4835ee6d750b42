"""Sizes of pictures that a decoder can draw: (height, width) in pixels.

The decoder works on patches of latents, and has no weight that belongs to a place: its
rotary positions are laid over a picture of any shape, so that they stay in the range it
was trained on (`models/hunyuan_dit/rotary.py`). What limits a size is that whole
patches must fill it, and `Limits.stretch`.
"""

from collections.abc import Sequence

from bridge_jax.data import aspects
from bridge_jax.inference.engine import Engine
from bridge_jax.inference.settings import Settings

Size = tuple[int, int]
LONGEST = 4.0  # times the shorter side: what `like` gives at most


def unit(engine: Engine) -> int:
    """Pixels a patch of latents, along one side: sizes are multiples of it."""
    return engine.bundle["vae"].config.factor * engine.bundle["dit"].config.patch


def native(engine: Engine) -> Size:
    """The size that the decoder was trained at."""
    side = engine.bundle["dit"].config.input_size * engine.bundle["vae"].config.factor
    return side, side


def problems(engine: Engine, settings: Sequence[Settings]) -> list[str]:
    """A sentence for every size that this model does not draw."""
    sizes = dict.fromkeys(one.size for one in settings if one.size is not None)
    if not sizes:
        return []
    step, longest = unit(engine), native(engine)[0] * engine.limits.stretch
    return [
        f"size {height} x {width}: height and width are multiples of {step} from {step}"
        f" to {longest}"
        for height, width in sizes
        if any(side % step or side > longest for side in (height, width))
    ]


def like(engine: Engine, height: int, width: int) -> Size:
    """The size nearest in aspect ratio to a picture, with about the native area."""
    side, step = native(engine)[0], unit(engine)
    longest = side * engine.limits.stretch
    choices = [
        size for size in aspects.sizes(side, step, LONGEST) if max(size) <= longest
    ]
    return choices[aspects.nearest(choices, height, width)]
