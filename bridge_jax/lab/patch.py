"""Changes of a config as JSON merge patches (RFC 7396): what is None is taken out."""

from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from bridge_jax.core import config as config_lib
from bridge_jax.core.errors import BridgeError


def patched(config: ConfigDict, *changes: Mapping[str, Any]) -> ConfigDict:
    """A copy of `config` with `changes` made one after the other.

    Groups are changed key by key, everything else is replaced. A key that is new is
    added: whoever builds the config says whether it knows it.

    Raises:
      BridgeError: a key to take out that is not there; such an arm changes nothing.
    """
    made = config.copy_and_resolve_references()
    with made.unlocked(), made.ignore_type():
        for change in changes:
            _merge(made, change)
    return made


def _merge(node: ConfigDict, change: Mapping[str, Any]) -> None:
    for name, value in change.items():
        if value is None:
            if name not in node:
                raise BridgeError(
                    f"a change takes out {name!r}, which is not there"
                    f"{config_lib.suggest(name, node)}; it has {', '.join(node)}"
                )
            del node[name]
        elif isinstance(value, Mapping | ConfigDict):
            if not isinstance(node.get(name), ConfigDict):
                node[name] = ConfigDict()
            with node[name].unlocked(), node[name].ignore_type():
                _merge(node[name], value)
        else:
            node[name] = value
