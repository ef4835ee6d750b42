"""The frozen parts of a run, and whether a cache that it reads was made by them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax

from bridge_jax.core import config as config_lib
from bridge_jax.core import trees, weights_hash
from bridge_jax.core.errors import BridgeError
from bridge_jax.core.types import Params
from bridge_jax.data import vocabulary
from bridge_jax.data.cache import origin, reading, store
from bridge_jax.models import build
from bridge_jax.models import bundle as bundle_lib
from bridge_jax.sharding import place
from bridge_jax.train import start


def parts_of(kinds: Iterable[str]) -> list[str]:
    """The parts of the model that make these kinds of records."""
    return list(dict.fromkeys(origin.MADE_BY[kind] for kind in kinds))


def frozen(
    config: Any, kinds: Iterable[str], devices: Sequence[jax.Device] | None = None
) -> tuple[bundle_lib.Bundle, place.Layout, Params]:
    """Bundle, layout and parameters of the parts that make `kinds`, as a run has them.

    Args:
      config: a `recipe.Config`.
      devices: of its mesh; all that there are by default.

    Raises:
      BridgeError: the config has no such part, or its weights do not fit.
    """
    parts = parts_of(kinds)
    lacking = [name for name in parts if name not in config.model]
    if lacking:
        raise BridgeError(
            f"the config has no part {', '.join(lacking)}, which makes"
            f" {', '.join(k for k in kinds if origin.MADE_BY[k] in lacking)}"
        )
    model = vocabulary.resolved({name: config.model[name] for name in parts})
    bundle = build.build(model)
    layout = place.make(dict(config.mesh), config.rules, devices=devices)
    sources = _sources(config.init_from, parts)
    begun = start.Start(config.seed, sources, "fresh", start.Lora())
    return bundle, layout, begun.params(bundle, layout)


def made_by(
    bundle: bundle_lib.Bundle,
    params: Params,
    parts: Iterable[str],
    processor: Any,
    decoding: Mapping[str, Any],
    versions: Mapping[str, str],
) -> origin.Origin:
    """The origin of what `parts` of these parameters make.

    Weights count by their values in float32, so that the type of a file does not. With
    several processes all must call it.
    """
    described = bundle.description()
    return origin.Origin(
        weights={part: weights_hash.of(params[part], types=False) for part in parts},
        model={part: described[part] for part in parts},
        processor=config_lib.plain(processor),
        decoding=decoding,
        versions=versions,
    )


def check(
    settings: reading.Settings,
    bundle: bundle_lib.Bundle,
    params: Params,
    processor: Any,
    trainable: Params,
) -> None:
    """Refuse a cache of other weights, and parts that would leave theirs behind.

    With several processes all must call it.

    Args:
      params: what the run starts from.
      processor: the run's `processor.Config`.
      trainable: a tree of bool, what trains of `params`.

    Raises:
      BridgeError: naming everything that differs.
    """
    if not settings.kinds:
        return
    cache = store.opened(settings.folder)
    parts = parts_of(settings.kinds)
    moving = sorted(set(parts) & _training(trainable))
    if moving:
        raise BridgeError(
            f"{cache.folder} is of frozen parts, and {', '.join(moving)} trains"
            " in this run: freeze it (optim.trainable), or read other kinds"
            " (cache.read)"
        )
    lacking = [part for part in parts if part not in params]
    if lacking:
        raise BridgeError(
            f"{cache.folder} was made by {', '.join(lacking)}, which this run's model"
            " has not: whether it is the same cannot be told"
        )
    mine = made_by(bundle, params, parts, processor, cache.origin.decoding, {})
    problems = cache.origin.differences(mine)
    if problems:
        raise BridgeError(
            f"{cache.folder} was made otherwise than this run would make it:"
            f" {'; '.join(problems)}; start from the weights that made it (init_from),"
            " or run `bridge cache build` with this config and another --out"
        )


def _training(trainable: Params) -> set[str]:
    """Parts of which something trains, adapters counted as what they adapt."""
    paths = [path for path, trains in trees.flatten(trainable).items() if trains]
    return {path.removeprefix(f"{start.ADAPTERS}/").split("/")[0] for path in paths}


def _sources(init_from: Mapping[str, str], parts: list[str]) -> dict[str, str]:
    """What of a config's `init_from` fills these parts."""
    found = {}
    for prefix, source in init_from.items():
        if prefix:
            if prefix.split("/")[0] in parts:
                found[prefix] = source
            continue
        path, _, inner = source.partition(":")
        inner = f"{inner.rstrip('/')}/" if inner else ""
        found |= {part: f"{path}:{inner}{part}" for part in parts}
    return found
