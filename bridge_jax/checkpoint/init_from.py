"""Start from these weights: partial and loud. (Going on with a run is `--resume`.)

`c.init_from = {"llm": "shapes-tiny/stage0:llm", "dit": "other/folder"}` fills the
parameters below each destination prefix from a file, below a source prefix if one
follows the colon. Destinations not named keep their fresh initialisation.
"""

from collections.abc import Mapping

import jax

from bridge_jax.checkpoint import locate, weights_file
from bridge_jax.core import log, trees
from bridge_jax.core.errors import BridgeError
from bridge_jax.core.types import Params

_SHOWN = 10


def init_from(params: Params, sources: Mapping[str, str]) -> Params:
    """`params` with the parts that `sources` names replaced, shardings kept.

    Args:
      params: nested dict of placed arrays.
      sources: destination prefix ("" for everything) -> "path[:source prefix]".

    Raises:
      BridgeError: everything wrong at once: a missing or broken file, a destination
        the model lacks, tensors missing, unused or of another shape.
    """
    flat, problems = trees.flatten(params), []
    plan: list[tuple[str, weights_file.WeightsFile, str]] = []
    for prefix, source in sources.items():
        try:
            plan += _plan(flat, prefix, source)
        except BridgeError as error:
            problems.append(str(error))
    if problems:
        raise BridgeError(
            f"cannot start from these weights: {'; '.join(problems[:_SHOWN])}"
        )
    for path, file, name in plan:
        old = flat[path]
        new = file[name].astype(old.dtype)
        flat[path] = jax.device_put(new, old.sharding)
    if plan:
        log.say(f"init_from: {len(plan)} of {len(flat)} parameters from {_list(plan)}")
    return trees.unflatten(flat)


def _plan(
    flat: Mapping[str, jax.Array], prefix: str, source: str
) -> list[tuple[str, weights_file.WeightsFile, str]]:
    """(destination path, file, tensor name) of one source."""
    path, _, inner = source.partition(":")
    start, inner = _folder(prefix), _folder(inner)
    wanted = {p: tuple(a.shape) for p, a in flat.items() if p.startswith(start)}
    if not wanted:
        tops = sorted({p.split("/")[0] for p in flat})
        raise BridgeError(f"the model has nothing below {prefix!r}; it has {tops}")
    file = weights_file.open_file(locate.locate(path))
    found = {
        start + name.removeprefix(inner): shape
        for name, shape in file.shapes.items()
        if name.startswith(inner)
    }
    if not found:
        raise BridgeError(f"{file.path} holds nothing below {inner!r}")
    problems = trees.difference(wanted, found)
    if problems:
        raise BridgeError(
            f"{source} for {prefix!r} ({len(problems)} problem(s)):"
            f" {'; '.join(problems[:_SHOWN])}"
        )
    return [(p, file, inner + p.removeprefix(start)) for p in wanted]


def _folder(prefix: str) -> str:
    return prefix.rstrip("/") + "/" if prefix else ""


def _list(plan: list[tuple[str, weights_file.WeightsFile, str]]) -> str:
    return ", ".join(sorted({str(file.path) for _, file, _ in plan}))
