"""A plan in words."""

import math

from bridge_jax.plan import fit


def text(plan: fit.Plan) -> str:
    """The whole plan, some lines."""
    mesh = " x ".join(f"{axis} {size}" for axis, size in plan.mesh.items())
    lines = [
        f"{plan.config} on {plan.topology}: {plan.devices} devices, {mesh or 'one'}",
        (
            f"  parameters {plan.parameters / 1e9:.3f} B,"
            f" trained {plan.trained / 1e9:.3f} B"
        ),
        (
            f"  on each device, GiB: state {plan.state:.2f} (optimiser"
            f" {plan.optimizer:.2f}), batch {plan.batch:.3f}, inside a step"
            f" {plan.temporary:.2f}, peak {plan.peak:.2f} of {plan.memory:.2f}"
        ),
        f"  {verdict(plan)}",
    ]
    if not plan.fits:
        lines += [f"  {line}" for line in advice(plan)]
    return "\n".join(lines)


def verdict(plan: fit.Plan) -> str:
    """One line, never more than was seen."""
    took = f"in {plan.seconds:.0f} s"
    if plan.refusal:
        return f"DOES NOT FIT: {plan.refusal}"
    if not plan.fits:
        spare = 100 * fit.HEADROOM
        return f"DOES NOT FIT: compiled {took}, but less than {spare:.0f} % is spare"
    if math.isnan(plan.memory):
        return f"compiled {took} for simulated devices"
    return f"compiled and fits (AOT, no hardware), {took}"


def advice(plan: fit.Plan) -> list[str]:
    """What would make it fit, the likeliest first."""
    found = []
    share = plan.state / plan.memory
    if share > 0.5:
        found.append("more devices along fsdp: the state alone takes half of each")
    if plan.mesh.get("data", 1) > 1:
        found.append("--config.mesh.data=1 --config.mesh.fsdp=-1: shard the state more")
    found += [
        "a smaller batch, or --config.accumulate=N for the same one in N parts",
        '--config.model.PART.remat=full, dtype="bfloat16" where it is not yet',
        "low-rank adapters (--config.lora.rank=16) instead of whole kernels",
    ]
    return found
