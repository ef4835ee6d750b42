"""Trials of faults, each on its own: what is recorded, kept and told.

A trial is done once. Its record holds whether the fault struck where it was meant to,
and whether afterwards everything was as if it had not; one of the two without the
other proves nothing.
"""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import processes
import worker

STEPS = 12  # of every run here
EVERY = worker.DEFAULTS["checkpoint_every"]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """struck: in its window; exact: nothing lost; note: what there is to say."""

    struck: bool
    exact: bool
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Trial:
    """`group` is its line in the table; run(an empty folder's path) -> Outcome."""

    group: str
    name: str
    run: Callable[[Path], Outcome]


class Book:
    """The records of all trials, one JSON line each, in WORKDIR/records.jsonl."""

    def __init__(self, workdir: Path):
        self.workdir = workdir
        self._file = workdir / "records.jsonl"
        workdir.mkdir(parents=True, exist_ok=True)
        lines = self._file.read_text().splitlines() if self._file.exists() else []
        self.records = {}
        for line in lines:
            record = json.loads(line)
            self.records[record["group"], record["name"]] = record

    def run(self, trial: Trial) -> None:
        """Do the trial, unless it has been done; keep its folder if it failed."""
        if (trial.group, trial.name) in self.records:
            return
        folder = self.workdir / f"{trial.group}_{trial.name}".replace(" ", "_")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            outcome = trial.run(folder / "run")
        except (AssertionError, TimeoutError) as error:
            outcome = Outcome(False, False, str(error)[-600:])
        record = {"group": trial.group, "name": trial.name}
        record |= dataclasses.asdict(outcome)
        self.records[trial.group, trial.name] = record
        with self._file.open("a") as stream:
            stream.write(json.dumps(record) + "\n")
        if outcome.struck and outcome.exact:
            shutil.rmtree(folder)
        print(f"{trial.group}: {trial.name}: {outcome}", flush=True)

    def markdown(self, groups: list[str]) -> str:
        """One line a group."""
        lines = ["| fault | trials | struck | exact afterwards |", "|---|---|---|---|"]
        for group in groups:
            found = [one for key, one in self.records.items() if key[0] == group]
            struck = sum(one["struck"] for one in found)
            exact = sum(one["exact"] for one in found)
            lines.append(f"| {group} | {len(found)} | {struck} | {exact} |")
        return "\n".join(lines)


def reference(workdir: Path, count: int, devices: int) -> tuple[dict, list[str]]:
    """(figures of every step, digests of the end) of a run that nothing befell."""
    whole = workdir.parent.parent / f"reference_{count}x{devices}"
    if not Path(f"{whole}.digest.{count - 1}").exists():
        shutil.rmtree(whole, ignore_errors=True)
        Path(f"{whole}.losses.jsonl").unlink(missing_ok=True)
        processes.run(whole, count, devices, STEPS)
    figures = {record["step"]: record for record in processes.records(whole)}
    return figures, _ends(whole, count)


def resumed_exactly(workdir: Path, count: int, devices: int) -> tuple[bool, str]:
    """Go on to the end: is every step's figure, and the end, that of the reference?

    A run that starts anew would get there, too, so it also has to go on from the newest
    step that counts, and no save may be lost that had been waited for.
    """
    newest, promised = _newest(workdir), _promised(workdir)
    if newest < promised:
        return False, f"step {promised} was saved and is lost"
    _, said = processes.run(workdir, count, devices, STEPS, resume="auto")
    figures, ends = reference(workdir, count, devices)
    made = processes.records(workdir)  # before the fault and after
    assert made[-1]["step"] == STEPS, made[-1]
    for record in made:
        for name in ("loss", "fit", "gradient_norm"):
            if record[name] != figures[record["step"]][name]:
                return False, f"{name} of step {record['step']} differs"
    if _ends(workdir, count) != ends:
        return False, "the last state differs"
    told = [line for line in said.splitlines() if "resumed from" in line]
    how = told[0].split(" of ")[0] if told else "started anew"
    wanted = f"resumed from step {newest}" if newest else "started anew"
    return how == wanted, how if how == wanted else f"{how} where {wanted} was due"


def _newest(workdir: Path) -> int:
    """The newest step whose folder stands under its final name; 0 for none."""
    steps = [path.name for path in (workdir / "checkpoints").glob("*")]
    return max((int(name) for name in steps if name.isdigit()), default=0)


def _promised(workdir: Path) -> int:
    """The newest step that must have been saved, by the figures that were written.

    A step's figures come before its save; a save begins when the one before has ended.
    """
    made = processes.records(workdir)
    begun = (made[-1]["step"] - 1) // EVERY * EVERY if made else 0
    return max(begun - EVERY, 0)


def _ends(workdir: Path, count: int) -> list[str]:
    return [Path(f"{workdir}.digest.{index}").read_text() for index in range(count)]


def start(workdir: Path, count: int, devices: int, **given):
    """The processes of a run that something will befall."""
    unknown = given.keys() - worker.DEFAULTS.keys()
    assert not unknown, unknown
    given = {"resume": "auto", "keep": 2} | given
    return processes.launch(workdir, count, devices, STEPS, **given)


def died(workdir: Path) -> str:
    """Where the worker that was to die has died; "" if it has not."""
    file = Path(f"{workdir}.died")
    return file.read_text() if file.exists() else ""
