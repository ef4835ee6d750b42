"""What LangBridge's adapter costs a training step, against the MLP in its place.

The steps of `configs/shapes_langbridge.py`, with weights from nothing: what they hold
changes no time. Both connectors take turns, and who begins alternates.
"""

import dataclasses
import statistics

from bridge_jax.bench import stepper
from bridge_jax.core import config as config_lib
from bridge_jax.core import log
from bridge_jax.train import recipe

STEPS = {
    f"{step} ({llm})": f"configs/shapes_langbridge.py:{variant}-{llm}"
    for step, variant in (("adapter pretraining", "adapter"), ("tuning", "instruct"))
    for llm in ("qwen2", "llama3")
}
CONNECTORS = ("langbridge", "mlp2x_gelu")


@dataclasses.dataclass(frozen=True)
class Result:
    """Seconds of each step, in the order in which they were taken; pair by pair."""

    ours: tuple[float, ...]
    mlp: tuple[float, ...]

    @property
    def quartiles(self) -> tuple[float, ...]:
        """Of the ratios of neighbours; the second is their median."""
        pairs = zip(self.ours, self.mlp, strict=True)
        ratios = [one / other for one, other in pairs]
        return tuple(statistics.quantiles(ratios, n=4, method="inclusive"))


def measure(rounds: int = 40, steps: dict[str, str] = STEPS) -> dict[str, Result]:
    """Name of a step -> `rounds` pairs of it, after one pair that compiles."""
    return {
        name: _race(spec, rounds) for name, spec in log.progress(steps.items(), "steps")
    }


def _race(spec: str, rounds: int) -> Result:
    given = config_lib.to_dataclass(recipe.Config, config_lib.load(spec))
    sides = {name: stepper.stepper(_fresh(given, name)) for name in CONNECTORS}
    seconds: dict[str, list[float]] = {name: [] for name in CONNECTORS}
    for turn in range(rounds + 1):
        for name in CONNECTORS if turn % 2 else CONNECTORS[::-1]:
            seconds[name].append(stepper.timed(sides[name]))
    ours, mlp = (tuple(seconds[name][1:]) for name in CONNECTORS)
    return Result(ours, mlp)


def _fresh(given: recipe.Config, connector: str) -> recipe.Config:
    vlm = dict(given.model["vlm"]) | {"connector": connector}
    return dataclasses.replace(given, model={"vlm": vlm}, init_from={})


def markdown(results: dict[str, Result]) -> str:
    """A table, one line a step."""
    lines = ["| a step of | langbridge / mlp2x_gelu | middle half |", "|---|---|---|"]
    for name, one in results.items():
        first, median, third = one.quartiles
        lines.append(f"| {name} | {median:.2f} | {first:.2f} to {third:.2f} |")
    return "\n".join(lines)
