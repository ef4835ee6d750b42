"""What small sharded training steps send over the wires, counted in their programs.

    python tests/census.py

writes tests/golden/census.json anew, which tests/sharding compares with. Do that when
another version of jax, or a change that means to, moves what is sent; and look at the
difference.

Widths are chosen so that what one device has of a batch is smaller than the largest
parameter, and the whole batch is larger: a gather of the batch shows by its size.
"""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import miniature

from bridge_jax.core import rng, term
from bridge_jax.diffusion import targets
from bridge_jax.models import build, view
from bridge_jax.objectives import contrastive, semantic, sft
from bridge_jax.plan import abstract, collectives
from bridge_jax.sharding import place
from bridge_jax.train import optim, state, step

GOLDEN = Path(__file__).parent / "golden" / "census.json"
MESHES = {
    "fsdp": {"fsdp": 8},
    "fsdp_tp_sp": {"fsdp": 2, "sequence": 2, "tensor": 2},
}
BATCH = 40  # no width is: an axis of 40 is the whole batch
LENGTH = 24  # of a text
PATCHES = 16
STATES = 8  # of a memory
# Without one loop for several results (`core/compiler`): it sorts what is sent anew.
ONE_RESULT = {"xla_disable_hlo_passes": "cpu_multi_output_fusion"}


@dataclasses.dataclass(frozen=True)
class Program:
    """A training step of one part, compiled for eight devices.

    Attributes:
      params: shapes of its parameters.
      found: its collectives.
    """

    params: Any
    found: list[collectives.Collective]

    @property
    def largest_parameter(self) -> int:
        """Bytes."""
        return max(4 * leaf.size for leaf in jax.tree.leaves(self.params))

    def figures(self) -> dict[str, dict[str, int]]:
        """What the golden file holds of it: kind -> how many, and bytes received."""
        figures = {}
        for kind in collectives.KINDS:
            some = [one for one in self.found if one.kind == kind]
            if some:
                figures[kind] = {
                    "count": round(sum(one.times for one in some)),
                    "bytes": round(sum(one.times * one.received for one in some)),
                }
        return figures


def _answers(bundle, params, batch):
    streams = rng.Streams(jnp.uint32(0), jnp.int32(0))
    seen = view.View(bundle, params, batch, rngs=streams, step=jnp.int32(0))
    return sft.Objective()(seen)


def _noise(bundle, params, batch):
    inputs = {name: leaf for name, leaf in batch.items() if name != "target"}
    out = bundle.apply("dit", params, **inputs)
    made, _ = targets.split_variance(out, batch["target"].shape[-1])
    error = jnp.square(made - batch["target"])
    return term.Term(jnp.sum(error), jnp.float32(error.size))


def _stand_in(bundle, params, batch):
    inputs = {name: leaf for name, leaf in batch.items() if name != "target"}
    made = bundle.apply("aligner", params, **inputs)
    return term.Term(*semantic.semantic_mse(made, batch["target"]))


def _pairs(bundle, params, batch):
    inputs = {name: leaf for name, leaf in batch.items() if name != "ids"}
    image, text, scale = bundle.apply("retrieval", params, **inputs)
    found = contrastive.multi_positive_infonce(text, image, batch["ids"], scale)
    return term.Term(*found, splittable=False)


_WIDTH = miniature.PARTS["aligner"]["d_model"]
EMBEDDING = miniature.PARTS["retrieval"]["out"]
STATES_SHAPE = (STATES, _WIDTH)
_FLOATS, _MASK = (STATES_SHAPE, "float32"), ((STATES,), "bool")
_MODELS = {
    "vlm": {"layers": 2, "vocab_size": 576},
    "aligner": {"layers": 2, "cross_layers": (0, 1), "queries": STATES, "d_ff": 192},
    "dit": {"clip_length": 4, "t5_length": 4, "t5_mlp_hidden": 512},
    "retrieval": {},
}
_FAMILIES = {"vlm": "qwen2_vl", "aligner": "bitransformer", "dit": "hunyuan_dit"}
_FROZEN = {"vlm": (("vlm/vision/.*", False),)}  # as in stage 1
_BATCHES = {
    "vlm": {
        "vlm": {
            "tokens": ((LENGTH,), "int32"),
            "positions": ((3, LENGTH), "int32"),
            "segments": ((LENGTH,), "int32"),
            "image_index": ((LENGTH,), "int32"),
            "patches": ((PATCHES, 384), "float32"),
            "coordinates": ((PATCHES, 2), "int32"),
            "patch_segments": ((PATCHES,), "int32"),
        },
        "loss_mask": ((LENGTH,), "bool"),
    },
    "aligner": {
        "embeddings": _FLOATS,
        "memory": _FLOATS,
        "memory_mask": _MASK,
        "replace": _MASK,
        "target": _FLOATS,
    },
    "dit": {
        "latents": ((8, 8, 8), "float32"),
        "timesteps": ((), "float32"),
        "clip_states": ((4, _WIDTH), "float32"),
        "clip_mask": ((4,), "int32"),
        "t5_states": ((4, _WIDTH), "float32"),
        "t5_mask": ((4,), "int32"),
        "target": ((8, 8, 8), "float32"),
    },
    "retrieval": {
        "image_aligner": _FLOATS,
        "image_states": _FLOATS,
        "image_mask": _MASK,
        "text_aligner": _FLOATS,
        "text_states": _FLOATS,
        "text_mask": _MASK,
        "ids": ((), "int32"),
    },
}
LOSSES = {"vlm": _answers, "aligner": _stand_in, "dit": _noise, "retrieval": _pairs}
PROGRAMS = tuple(LOSSES)


def compiled(part: str, rules: str) -> Program:
    """The training step of `part` on the mesh for a table of rules."""
    family = _FAMILIES.get(part, part)
    told = {"family": family, "size": "tiny"} | miniature.PARTS[part] | _MODELS[part]
    bundle = build.build({part: told})
    layout = place.make(MESHES[rules], rules, strict=True)

    def terms(params, batch, rngs, now):
        return {part: (1.0, LOSSES[part](bundle, params, batch))}

    params = abstract.whole(bundle, layout)
    # The rule that compiles soonest: all of them work on each parameter where it lies.
    trainable = (*_FROZEN.get(part, ()), (".*", True))
    config = optim.OptimConfig(name="lion", clip_norm=0.0, trainable=trainable)
    optimizer = optim.make(config, params, total_steps=9)
    one = step.Step(terms, optimizer, layout)
    batch = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct((BATCH, *leaf[0]), leaf[1]),
        _BATCHES[part],
        is_leaf=lambda leaf: isinstance(leaf, tuple),
    )
    with layout.scope():
        traced = one.trace(state.planned(params, optimizer, 0, layout), batch)
        program = traced.lower().compile(compiler_options=ONE_RESULT)
    return Program(params, collectives.found(program.as_text()))


def name(part: str, rules: str) -> str:
    """Of a program, in the golden file."""
    return f"{part} {rules}"


def write() -> None:
    """Make the golden file anew."""
    counted = {
        name(part, rules): compiled(part, rules).figures()
        for part in PROGRAMS
        for rules in MESHES
    }
    told = {"jax": jax.__version__, "programs": counted}
    GOLDEN.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    # As in tests: conftest has to come before jax.
    code = "import conftest, census; census.write()"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parent, check=False
    )
    sys.exit(done.returncode)
