"""How a picture was made, in words that it can carry: the text chunks of a PNG."""

import dataclasses
import importlib.metadata
from typing import Any

from bridge_jax.core.types import Params
from bridge_jax.inference import embed
from bridge_jax.inference.results import Drawing, Edited


def of(made: Drawing | Edited, params: Params) -> dict[str, str]:
    """What was asked, what was drawn, every setting, the weights and the version.

    Returns:
      name -> value; names without a value, such as a negative prompt that was not
      given, are left out. `weights` is a fingerprint of all parts.
    """
    height, width = made.images.shape[1:3]
    asked = ("instruction",) if isinstance(made, Edited) else ("prompt",)
    fields: dict[str, Any] = {"Software": f"bridge_jax {_version()}"}
    fields |= {name: getattr(made, name) for name in (*asked, "caption", "note")}
    fields |= dataclasses.asdict(made.settings)
    fields["size"] = f"{height}x{width}"
    fields["weights"] = embed.fingerprint(params, sorted(params))
    return {name: str(value) for name, value in fields.items() if value != ""}


def _version() -> str:
    try:
        return importlib.metadata.version("bridge_jax")
    except importlib.metadata.PackageNotFoundError:  # used from a checkout
        return "of a checkout"
