"""Plans in words, and as a table."""

import math
from collections.abc import Sequence

from bridge_jax.plan import fit, topology

_HEAD = (
    (
        "| config | program | on | GiB a device: state, peak, of |"
        " PFLOP (again) | GB received | projected s | |"
    ),
    "|---|---|---|---|---|---|---|---|",
)


def text(plan: fit.Plan) -> str:
    """The whole plan of one program, some lines."""
    lines = [
        (
            f"{plan.config} on {plan.topology}: {plan.program},"
            f" {plan.devices} devices, {_mesh(plan)}"
        ),
        (
            f"  parameters {plan.parameters / 1e9:.3f} B,"
            f" trained {plan.trained / 1e9:.3f} B"
        ),
        (
            f"  on each device, GiB: state {plan.state:.2f} (optimiser"
            f" {plan.optimizer:.2f}), batch {plan.batch:.3f}, inside a step"
            f" {plan.temporary:.2f}, peak {plan.peak:.2f} of {plan.memory:.2f}"
        ).replace("nan", "?"),
        f"  {_arithmetic(plan)}",
    ]
    if plan.wires:
        lines.append(f"  {_wires(plan)}")
    if not math.isnan(plan.projected):
        lines.append(f"  projected, not measured: at least {plan.projected:.3f} s")
    lines.append(f"  {verdict(plan)}")
    if not plan.fits:
        lines += [f"  {line}" for line in advice(plan)]
    return "\n".join(lines)


def markdown(plans: Sequence[fit.Plan], before: str = "") -> str:
    """One row a plan.

    Args:
      before: an earlier table. Its rows stay, but for those of the same config, program
        and topology; what is new stands after the last row of its topology.
    """
    rows = {_key(line): line for line in before.splitlines()[len(_HEAD) :]}
    for line in _rows(plans):
        key = _key(line)
        if key in rows:
            rows[key] = line
            continue
        listed = list(rows.items())
        last = max(
            (i for i, (k, _) in enumerate(listed) if k[-1] == key[-1]), default=-1
        )
        place = last + 1 if last >= 0 else len(listed)
        rows = dict([*listed[:place], (key, line), *listed[place:]])
    return "\n".join([*_HEAD, *rows.values()])


def _key(line: str) -> tuple[str, ...]:
    """Config, program and where, of a row."""
    return tuple(cell.strip() for cell in line.split("|")[1:4])


def _rows(plans: Sequence[fit.Plan]) -> list[str]:
    rows = []
    for one in plans:
        model = sum(one.flops.values())
        cells = [
            one.config.removeprefix("configs/").replace(".py", ""),
            one.program,
            f"{one.topology} ({_mesh(one)})",
            f"{one.state:.2f}, {one.peak:.2f}, {one.memory:.2f}",
            f"{model / 1e15:.3g} ({one.again / 1e15:.3g})",
            f"{sum(one.wires.values()) / 1e9:.3g}" if one.wires else "0",
            f"{one.projected:.3g}",
            "compiled and fits" if one.fits else "does not fit",
        ]
        rows.append(f"| {' | '.join(cells)} |".replace("nan", "?"))
    return rows


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
    if plan.whole > 0.1 and plan.mesh.get("fsdp", 1) > 1:
        found.append(
            f"a mesh that divides all parameters: {100 * plan.whole:.0f} % of them lie"
            f" whole on each device; 'sharding:' above says which and how many of fsdp"
            " would do, --config.mesh.data=-1 --config.mesh.fsdp=THAT"
        )
    elif share > 0.5:
        found.append("more devices along fsdp: the state alone takes half of each")
    if plan.mesh.get("data", 1) > 1:
        found.append("--config.mesh.data=1 --config.mesh.fsdp=-1: shard the state more")
    found += [
        "a smaller batch, or --config.accumulate=N for the same one in N parts",
        '--config.model.PART.remat=full, dtype="bfloat16" where it is not yet',
        "--config.objectives.sft.blocks=4, where answers are learnt: scores in parts",
        "low-rank adapters (--config.lora.rank=16) instead of whole kernels",
    ]
    return found


def _mesh(plan: fit.Plan) -> str:
    return " x ".join(f"{axis} {size}" for axis, size in plan.mesh.items()) or "one"


def _arithmetic(plan: fit.Plan) -> str:
    parts = ", ".join(f"{name} {n / 1e12:.4g}" for name, n in plan.flops.items())
    model = sum(plan.flops.values()) / 1e12
    again = f", made again {plan.again / 1e12:.4g}" if plan.again else ""
    return f"TFLOP over all devices: {model:.4g} ({parts}){again}"


def _wires(plan: fit.Plan) -> str:
    kinds = ", ".join(
        f"{kind} {size / topology.GIB:.3g}" for kind, size in plan.wires.items()
    )
    total = sum(plan.wires.values()) / topology.GIB
    return (
        f"a device receives {total:.3g} GiB ({kinds}); parameters gathered and reduced"
        f" once a pass would be {plan.formula / topology.GIB:.3g}"
    )
