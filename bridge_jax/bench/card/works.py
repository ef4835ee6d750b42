"""What is measured, by name; a config and its changes are all that a work is."""

import dataclasses
from collections.abc import Callable
from typing import Any

from bridge_jax.bench.card import decoding, embedding, result, training

STAGE1 = "configs/stage1_omnibridge_7b.py"
STAGE2 = "configs/stage2_omnibridge_7b.py"
DIT = "configs/pretrain_dit_g.py"


Measure = Callable[[Any, int], result.Measured]


@dataclasses.dataclass(frozen=True)
class Work:
    """Attributes:
    measure: of the resolved config and the number of rounds.
    spec: of the config.
    changes: to it, as on the command line: batches for one card of 140 GB.
    unit: what a run works on.
    wanted: share of the ceiling that we are after; None where none was set.
    """

    measure: Measure
    spec: str
    changes: tuple[str, ...]
    unit: str
    wanted: float | None = None


def _answers(rows: int) -> Measure:
    def measure(config: Any, rounds: int) -> result.Measured:
        return decoding.measure({"vlm": config["model"]["vlm"]}, rows, rounds)

    return measure


def _vectors(modality: str) -> Measure:
    def measure(config: Any, rounds: int) -> result.Measured:
        return embedding.measure(config, modality, rounds)

    return measure


def _batches(**rows: int) -> tuple[str, ...]:
    return tuple(f"--config.streams.{name}.batch={n}" for name, n in rows.items())


def _kept(policy: str, *parts: str) -> tuple[str, ...]:
    """What the backward pass keeps: one card alone has room for more than a pod's."""
    return tuple(f"--config.model.{part}.remat={policy}" for part in parts)


_BLOCKS = ("--config.objectives.sft.blocks=4",)
_retrieve = _batches(retrieve=32)
WORKS = {
    "stage1_2b": Work(
        training.measure,
        f"{STAGE1}:2b",
        (*_batches(main=16), *_kept("dots", "vlm"), *_BLOCKS),
        "sample",
        0.55,
    ),
    "stage1_7b_lora": Work(
        training.measure,
        f"{STAGE1}:lora",
        (*_batches(main=16), *_kept("dots", "vlm"), *_BLOCKS),
        "sample",
        0.55,
    ),
    "dit_g": Work(
        training.measure,
        DIT,
        (*_batches(main=32), *_kept("dots", "dit")),
        "sample",
        0.45,
    ),
    "stage2_7b": Work(
        training.measure,
        STAGE2,
        (
            *_batches(generate=16, edit=16, retrieve=32),
            *_kept("dots", "dit", "aligner"),
        ),
        "sample",
        0.40,
    ),
    "decode_2b": Work(_answers(1), f"{STAGE1}:2b", (), "token", 0.70),
    "decode_7b": Work(_answers(1), STAGE1, (), "token", 0.70),
    "decode_7b_by_8": Work(_answers(8), STAGE1, (), "token"),
    "embed_pictures": Work(_vectors("image"), STAGE2, _retrieve, "picture"),
    "embed_texts": Work(_vectors("text"), STAGE2, _retrieve, "text"),
}
