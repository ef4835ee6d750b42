"""Two arms, wherever they were run: every figure that both have, pair by pair."""

from pathlib import Path

from bridge_jax.core.errors import BridgeError
from bridge_jax.lab import results as results_lib
from bridge_jax.lab import statistics, table


def markdown(first: Path, second: Path) -> str:
    """A row a figure: its mean in both arms, and second minus first by seeds.

    Raises:
      BridgeError: a folder that is no arm; no figure or no seed in common.
    """
    one, other = results_lib.read_arm(first), results_lib.read_arm(second)
    [(a, one_seeds)] = one.figures.items()
    [(b, other_seeds)] = other.figures.items()
    common = sorted(one_seeds.keys() & other_seeds.keys())
    if not common:
        raise BridgeError(
            f"{first} has seeds {sorted(one_seeds)} and {second} has"
            f" {sorted(other_seeds)}: without a common one nothing can be paired"
        )
    lines = [
        f"| figure | {first} | {second} | difference | n |",
        "|---|---|---|---|---|",
    ]
    for figure in one_seeds[common[0]]:
        pair = one.series(a, figure), other.series(b, figure)
        gap = statistics.difference(pair[1], pair[0])
        if gap is None:
            continue
        both = pair[0].keys() & pair[1].keys()
        means = [
            table.plus_minus(statistics.estimate([side[seed] for seed in sorted(both)]))
            for side in pair
        ]
        cells = [figure, *means, table.difference(gap), str(gap.n)]
        lines.append(f"| {' | '.join(cells)} |")
    if len(lines) == 2:
        raise BridgeError(f"{first} and {second} have no figure in common")
    return "\n".join(lines)
