"""Samplers: the name in the config is the name of the file; each has a `Sampler`."""

import importlib
import pkgutil

from bridge_jax.core.errors import BridgeError
from bridge_jax.diffusion import sampling


def names() -> list[str]:
    """The samplers in this folder."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def load(name: str, **options) -> sampling.LinearSampler:
    """`Sampler(**options)` of the file `samplers/<name>.py`.

    Raises:
      BridgeError: no such file, or an option that this sampler does not have.
    """
    if name not in names():
        raise BridgeError(
            f"sampler {name!r} is unknown: use one of {', '.join(names())}"
        )
    cls = importlib.import_module(f"{__name__}.{name}").Sampler
    known = set(cls.__dataclass_fields__)
    unknown = sorted(set(options) - known)
    if unknown:
        raise BridgeError(
            f"sampler {name!r} has no option {', '.join(unknown)}: it has "
            f"{', '.join(sorted(known))}"
        )
    return cls(**options)
