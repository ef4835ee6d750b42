"""Pictures asked of a model so that each depends on its own request alone.

Within one call a model gives a request that comes twice two different pictures; the
second of them here comes from another call, with the next seed. So it does not matter
in which batch, shard or run a request is made.
"""

import collections
from collections.abc import Hashable, Iterator, Sequence
from typing import Any, TypeVar

from bridge_jax.eval import batches
from bridge_jax.eval.options import Options
from bridge_jax.eval.system import Picture, System

T = TypeVar("T")


def repeats(requests: Sequence[Hashable]) -> list[int]:
    """How often each was asked before: ["a", "b", "a"] -> [0, 0, 1]."""
    asked: collections.Counter = collections.Counter()
    found = []
    for request in requests:
        found.append(asked[request])
        asked[request] += 1
    return found


def drawings(
    model: System, prompts: Sequence[str], wanted: Sequence[int], options: Options
) -> Iterator[tuple[int, Any]]:
    """(position, drawing with `options.images_per_prompt` pictures) of `wanted` ones.

    Args:
      prompts: all of the benchmark; `wanted` are positions in it.
    """
    most = max(1, options.batch // options.images_per_prompt)
    for seed, rows, real in _rounds(repeats(prompts), wanted, most, options):
        made = model.generate(
            [prompts[row] for row in rows],
            images_per_prompt=options.images_per_prompt,
            seed=seed,
            condition=options.conditions[0],
            rewrite=options.rewrite,
            **options.sampling,
        )
        yield from list(zip(rows, made, strict=True))[:real]


def edits(
    model: System,
    requests: Sequence[tuple[str, str]],
    wanted: Sequence[int],
    options: Options,
    picture: Any,
) -> Iterator[tuple[int, Picture]]:
    """(position, edited picture uint8 [H, W, 3]) of `wanted` ones.

    Args:
      requests: (name of a picture, instruction), all of the benchmark.
      picture: name -> uint8 [H, W, 3].
    """
    for seed, rows, real in _rounds(repeats(requests), wanted, options.batch, options):
        made = model.edit(
            [picture(requests[row][0]) for row in rows],
            [requests[row][1] for row in rows],
            seed=seed,
            bert=options.edits_bert,
            **options.sampling,
        )
        for row, edited in list(zip(rows, made, strict=True))[:real]:
            yield row, edited.images[0]


def _rounds(
    before: Sequence[int], wanted: Sequence[int], most: int, options: Options
) -> Iterator[tuple[int, list[int], int]]:
    """(seed, batch of positions, how many of them count): no request twice in one."""
    for times in sorted({before[position] for position in wanted}):
        rows = [position for position in wanted if before[position] == times]
        for _, batch, real in batches.batches(rows, most, "pictures"):
            yield options.seed + times, batch, real
