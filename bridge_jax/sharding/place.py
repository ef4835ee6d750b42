"""Where arrays live: parameters by their logical names, batches over the mesh."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from flax.core import meta
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from bridge_jax.core import log
from bridge_jax.core.errors import BridgeError
from bridge_jax.core.types import Params
from bridge_jax.sharding import mesh as mesh_lib
from bridge_jax.sharding import rules as rules_lib


@dataclasses.dataclass(frozen=True)
class Layout:
    """A mesh with the table that maps logical names onto it.

    Attributes:
      strict: a parameter that does not divide is an error and not a logged line.
    """

    mesh: Mesh
    rules: rules_lib.Rules
    strict: bool = False

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        """Trace and run inside: here logical constraints of activations take hold."""
        names = rules_lib.for_linen(self.rules)
        with jax.set_mesh(self.mesh), nn.logical_axis_rules(names):
            yield

    @property
    def replicated(self) -> NamedSharding:
        """A whole copy on every device."""
        return NamedSharding(self.mesh, PartitionSpec())

    def shardings(self, boxed: Any) -> Any:
        """NamedSharding of each leaf of a tree of boxed parameters or shapes.

        Raises:
          BridgeError: an unknown logical name; if strict, everything that does not
            divide, with its parameters and the fix.
        """
        notes: dict[str, list[str]] = {}

        def one(path: Sequence[Any], leaf: Any) -> NamedSharding:
            where = "/".join(str(getattr(key, "key", key)) for key in path)
            value = _unbox(leaf)
            names = getattr(leaf, "names", (None,) * value.ndim)
            try:
                spec, found = rules_lib.resolve(
                    names, value.shape, self.rules, self.mesh
                )
            except BridgeError as error:
                raise BridgeError(f"{where}: {error}") from None
            for text in found:
                notes.setdefault(text, []).append(where)
            return NamedSharding(self.mesh, spec)

        tree = jax.tree_util.tree_map_with_path(one, boxed, is_leaf=_is_box)
        told = [f"{_named(paths)}: {text}" for text, paths in notes.items()]
        if told and self.strict:
            raise BridgeError("; ".join(told))
        for line in told:
            log.say(f"sharding: {line}")
        return tree

    def batch_sharding(self, batch: Any) -> Any:
        """NamedSharding of each leaf: leading axis over the batch axes, scalars whole.

        Raises:
          BridgeError: a global leading axis that does not divide.
        """
        axes = dict(self.rules)["batch"]
        parts = int(np.prod([self.mesh.shape[axis] for axis in axes]))

        def one(leaf: Any) -> NamedSharding:
            if np.ndim(leaf) == 0:
                return self.replicated
            if leaf.shape[0] % parts:
                raise BridgeError(
                    f"a batch of {leaf.shape[0]} does not divide over {parts} devices"
                    f" ({' x '.join(axes)}); make it a multiple of {parts}"
                )
            return NamedSharding(self.mesh, PartitionSpec(axes))

        return jax.tree.map(one, batch)

    def put_batch(self, local: Any) -> Any:
        """This process's numpy share of a batch -> one global array a leaf.

        Processes hold equal shares, joined along the leading axis.
        """
        processes = jax.process_count()

        def widen(leaf: Any) -> jax.ShapeDtypeStruct:
            shape = np.shape(leaf)
            full = (shape[0] * processes, *shape[1:]) if shape else ()
            return jax.ShapeDtypeStruct(full, np.asarray(leaf).dtype)

        full = jax.tree.map(widen, local)
        return jax.tree.map(
            lambda leaf, shape, sharding: jax.make_array_from_process_local_data(
                sharding, np.asarray(leaf), shape.shape
            ),
            local,
            full,
            self.batch_sharding(full),
        )


def make(
    sizes: Mapping[str, int],
    rules: str = "fsdp_tp",
    *,
    strict: bool = False,
    devices: Sequence[jax.Device] | None = None,
) -> Layout:
    """The layout of mesh sizes ({"data": -1}) and a table's name."""
    return Layout(mesh_lib.make_mesh(sizes, devices), rules_lib.table(rules), strict)


def init(layout: Layout, function: Callable[..., Any], *args: Any) -> Params:
    """Parameters of `function(*args)`, made in place, each shard on its device.

    `function` returns a tree of boxed parameters (what linen's `init` gives below
    "params"); the result is unboxed. The values do not depend on the layout.
    """
    shardings = layout.shardings(jax.eval_shape(function, *args))
    # Outside `scope`: unboxing there would constrain even what does not divide.
    return jax.jit(lambda *values: unbox(function(*values)), out_shardings=shardings)(
        *args
    )


def put_params(layout: Layout, params: Any, boxed: Any) -> Params:
    """Host parameters onto the mesh, by the names in `boxed` (abstract is enough)."""
    return jax.tree.map(jax.device_put, params, layout.shardings(boxed))


def unbox(tree: Any) -> Any:
    """The tree without its boxes, which it needs once only, to be placed."""
    return jax.tree.map(_unbox, tree, is_leaf=_is_box)


def _named(paths: Sequence[str]) -> str:
    """As a deep model's layers share what is wrong, the first stands for all."""
    others = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return f"{paths[0]}{others}"


def _unbox(leaf: Any) -> Any:
    return leaf.unbox(apply_constraint=False) if _is_box(leaf) else leaf


def _is_box(leaf: Any) -> bool:
    return isinstance(leaf, meta.AxisMetadata)
