"""Runs programs of (bundle, params, batch, shared) on a mesh, each compiled once."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from bridge_jax.core import hardware, multipliers
from bridge_jax.core.errors import BridgeError
from bridge_jax.core.types import Params
from bridge_jax.data import processor as processor_lib
from bridge_jax.inference.settings import DEFAULT_LIMITS, Limits
from bridge_jax.layers import int8
from bridge_jax.models import bundle as bundle_lib
from bridge_jax.sharding import place

Program = Callable[..., Any]
BLIND = ("decoder_lm",)  # families without a tower


class Engine:
    """Everything of a model but its parameters.

    Models of the same shape share one engine, and with it the compiled programs.
    """

    def __init__(
        self,
        bundle: bundle_lib.Bundle,
        processor: processor_lib.Processor,
        layout: place.Layout,
        limits: Limits = DEFAULT_LIMITS,
    ):
        self.bundle, self.processor = bundle, processor
        self.layout, self.limits = layout, limits
        self._compiled: dict[Any, Callable[..., Any]] = {}
        self._options: dict[Any, dict[str, str]] = {}

    @property
    def parts(self) -> int:
        """Devices that share a batch: every batch is a multiple of it."""
        mesh, axes = self.layout.mesh, dict(self.layout.rules)["batch"]
        return int(np.prod([mesh.shape[axis] for axis in axes]))

    def place(self, params: Params) -> Params:
        """Parameters (host or device) laid out on this engine's mesh."""
        boxed = {name: int8.boxed(self.boxed[name], params[name]) for name in params}
        return place.put_params(self.layout, params, boxed)

    @functools.cached_property
    def boxed(self) -> Params:
        """Abstract parameters with their logical axis names."""
        return self.bundle.abstract()

    def need(self, task: str, *parts: str) -> None:
        """Raises BridgeError, naming what is missing, unless the bundle has `parts`."""
        missing = [part for part in parts if part not in self.bundle]
        if missing:
            raise BridgeError(
                f"this model cannot {task}: it lacks {', '.join(missing)} and has only "
                f"{', '.join(self.bundle.parts)}; load a whole model"
            )

    def need_eyes(self) -> None:
        """Raises BridgeError if the language model has no tower."""
        part = self.bundle["vlm"]
        if part.family in BLIND:
            raise BridgeError(
                f"this model cannot look at pictures: its vlm is {part.family}, which"
                " reads text alone"
            )
        if getattr(part.config, "tower", None) == "given":
            raise BridgeError(
                "this model cannot look at pictures: its vlm has the tower 'given',"
                " which is none; give its decoder one (bridge langbridge transfer --to)"
            )

    def run(
        self,
        program: Program,
        params: Params,
        batch: Any,
        shared: Mapping[str, Any],
        **static: Any,
    ) -> Any:
        """`program(bundle, params, batch, shared, **static)`, compiled.

        Args:
          program: a module-level function.
          params: from `place`.
          batch: tree of arrays with one leading axis, a multiple of `parts`.
          shared: tree of arrays that every row reads.
          static: hashable; a program is compiled for each value and shape.

        Returns:
          Device arrays, whole on every device.
        """
        return self._run(program, params, batch, shared, static, whole=True)

    def advance(
        self,
        program: Program,
        params: Params,
        batch: Any,
        shared: Mapping[str, Any],
        **static: Any,
    ) -> Any:
        """As `run`, for a program whose result stays where it is: rows in, rows out.

        Arrays of the result are divided as those of `batch`, by their leading axis.
        """
        return self._run(program, params, batch, shared, static, whole=False)

    def jitted(
        self,
        program: Program,
        static: Mapping[str, Any],
        whole: bool = True,
        options: Mapping[str, str] | None = None,
    ) -> Callable[..., Any]:
        """What `run` calls, to trace it for devices that are not there.

        `options` are the compiler's.
        """
        key = program, whole, tuple(sorted((options or {}).items()))
        if key not in self._compiled:
            self._compiled[key] = jax.jit(
                functools.partial(program, self.bundle),
                static_argnames=tuple(static),
                out_shardings=self.layout.replicated if whole else None,
                compiler_options=dict(options or {}),
            )
        return self._compiled[key]

    def _run(self, program, params, batch, shared, static, whole: bool) -> Any:
        batch = jax.device_put(batch, self.layout.batch_sharding(batch))
        shared = jax.device_put(dict(shared), self.layout.replicated)
        with self.layout.scope():
            options = self._chosen(program, params, batch, shared, static, whole)
            call = self.jitted(program, static, whole, options)
            return call(params, batch, shared, **static)

    def _chosen(self, program, params, batch, shared, static, whole) -> dict[str, str]:
        """`multipliers.options` for these shapes."""
        if not hardware.is_one_cpu():
            return {}
        leaves, structure = jax.tree.flatten((batch, shared))
        shapes = tuple((leaf.shape, leaf.dtype) for leaf in leaves)
        key = program, whole, tuple(sorted(static.items())), structure, shapes
        if key not in self._options:
            call = self.jitted(program, static, whole)
            traced = call.trace(params, batch, shared, **static)
            self._options[key] = multipliers.options(traced.jaxpr)
        return self._options[key]
