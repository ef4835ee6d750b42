"""What of a row a cache can bring: mT5's states, latents and LLM states.

Each is a function of fields of the row itself, whatever stream it is of, and takes the
place of what `models/view.py` would compute from them:

    targets   t5_states [L, D] of t5_tokens and t5_mask
    latents   latents [h/f, w/f, C] of images
    states    memory_states [S, D] of vlm at memory_index, 0 where masked; likewise
              image_states of vlm_image and text_states of vlm_text
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from bridge_jax.data.cache import names

Row = Mapping[str, Any]
_VLM = "vlm"


def wanted(kind: str, row: Row) -> dict[str, bytes]:
    """Field to bring -> name of its record. Empty where a row has no use for the kind.

    Padding is no part of an LLM state's name, nor of its record.
    """
    if kind == "targets" and "t5_tokens" in row:
        name = names.digest(kind, row["t5_tokens"], row["t5_mask"])
        return {"t5_states": name}
    if kind == "latents" and "images" in row:
        return {"latents": names.digest(kind, row["images"])}
    if kind == "states":
        return {f"{prefix}_states": _state(row, prefix) for prefix in sides(row)}
    return {}


def sides(row: Row) -> dict[str, str]:
    """Prefix of index, mask and states -> the fields of the LLM that they are of."""
    found = {name.partition("_")[2] or "memory": name for name in row if _is_vlm(name)}
    return {prefix: name for prefix, name in found.items() if f"{prefix}_index" in row}


def reads(kind: str, row: Row) -> dict[str, Any]:
    """The fields of a row that its `kind` is computed from."""
    if kind == "targets":
        return {name: row[name] for name in ("t5_tokens", "t5_mask")}
    if kind == "latents":
        return {"images": row["images"]}
    found: dict[str, Any] = {}
    for prefix, name in sides(row).items():
        more = (name, f"{prefix}_index", f"{prefix}_mask")
        found |= {field: row[field] for field in more}
    return found


def stored(field: str, row: Row, array: np.ndarray) -> np.ndarray:
    """What is kept of a computed field: masked states are not."""
    mask = _mask(field, row)
    return array if mask is None else array[mask]


def restored(field: str, row: Row, array: np.ndarray) -> np.ndarray:
    """Undo `stored`, with zeros where the mask is false."""
    mask = _mask(field, row)
    if mask is None:
        return array
    whole = np.zeros((len(mask), array.shape[1]), array.dtype)
    whole[mask] = array
    return whole


def _mask(field: str, row: Row) -> np.ndarray | None:
    prefix = field.removesuffix("_states")
    return row[f"{prefix}_mask"] if prefix in sides(row) else None


def _state(row: Row, prefix: str) -> bytes:
    given = row[sides(row)[prefix]]
    real = given["segments"] > 0
    parts = [
        given["tokens"][real],
        given["segments"][real],
        given["positions"][:, real],
    ]
    if "image_index" in given:
        parts.append(given["image_index"][real])
    if "patches" in given:
        shown = given["patch_segments"] > 0
        parts += [given["patch_segments"][shown], given["coordinates"][shown]]
        parts.append(given["patches"][shown])
    at = row[f"{prefix}_index"][row[f"{prefix}_mask"]]
    return names.digest("states", *parts, at)


def _is_vlm(name: str) -> bool:
    return name == _VLM or name.startswith(f"{_VLM}_")
