"""DPG-Bench: long prompts, and a question for everything they say (Hu et al. 2024).

DATA is the folder of NAME.txt, 1,065 prompts, or the folder dpg_bench as published
(https://github.com/TencentQQGYLab/ELLA) with those in prompts/ and, for the table by
category, dpg_bench.csv beside them. The model writes NAME.png: four pictures as a grid
of 2 x 2, without gaps, as its evaluator cuts them (-n for fewer).

The judge, mPLUG in the original, answers the questions of each picture. Here it is
`recorded:FILE`, a line a grid:

    {"picture": "NAME.png", "scores": [0.8, 1, 1, 0.6]}      a picture's share of yes
    {"picture": "NAME.png", "answers": [{"1": "yes", "2": "no"}, ...]}

The second names the questions by their proposition_id and needs the csv: a picture's
score is then its share of yes, a question counting as no if one that it depends on was
answered no (`dpg_questions`). Figures go from 0 to 100: `score`, the mean over prompts
of the mean over their pictures, and with answers `category/entity`, ... by level 1.
"""

from collections.abc import Mapping
from pathlib import Path

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import faults as faults_lib
from bridge_jax.data.faults import Faults
from bridge_jax.eval import pictures, records
from bridge_jax.eval.options import Options
from bridge_jax.eval.outside import asking, dpg_questions, judging
from bridge_jax.eval.outside.judging import Judgement
from bridge_jax.eval.outside.shards import WHOLE, Shard
from bridge_jax.eval.system import System

MOST = 4  # pictures of a grid
_ASK = (
    'let a judge answer the questions of each and record a line {"picture": "NAME.png",'
    ' "answers": [{"1": "yes", ...}, ...]} (or "scores": [0.8, ...]), one entry a'
    " picture of the grid: --only score --scorer recorded:FILE"
)


class Benchmark:
    """The prompts of a folder.

    Attributes:
      prompts: NAME -> text, by name.
      questions: NAME -> its questions; None without dpg_bench.csv.

    Raises:
      BridgeError: no prompts, empty ones, and all mistakes in the csv.
    """

    def __init__(self, data: Path):
        faults = Faults()
        folder = data / "prompts" if (data / "prompts").is_dir() else data
        files = sorted(folder.glob("*.txt"))
        self.prompts = {file.stem: faults_lib.text(file).strip() for file in files}
        for file in files:
            if not self.prompts[file.stem]:
                faults.add(str(file), "is empty")
        if not files:
            faults.add(str(folder), "holds no prompts, which are files NAME.txt")
        self.questions = None
        tables = [f / dpg_questions.FILE for f in (data, folder)]
        table = next((file for file in tables if file.is_file()), None)
        if table is not None:
            self.questions = dpg_questions.read(table, faults)
            for name in self.prompts:
                if name not in self.questions:
                    faults.add(str(table), f"has no question about {name}")
        faults.stop()

    def check(self, scorer: str | None) -> None:
        """Raise BridgeError if that judge is not there; None is no mistake."""
        judging.check(scorer)

    def answer(
        self, model: System, folder: Path, options: Options, shard: Shard = WHOLE
    ) -> None:
        """Draw the prompts of this shard that have no NAME.png yet."""
        if options.images_per_prompt > MOST:
            raise BridgeError(
                f"-n {options.images_per_prompt}: a grid of DPG-Bench holds 1 to {MOST}"
            )
        names, texts = list(self.prompts), list(self.prompts.values())
        wanted = [i for i, n in shard.of(names) if not (folder / _name(n)).exists()]
        for position, drawing in asking.drawings(model, texts, wanted, options):
            columns = min(2, len(drawing.images))
            grid = pictures.grid(drawing.images, columns, gap=0)
            records.write_picture(folder / _name(names[position]), grid)

    def score(self, folder: Path, scorer: str | None) -> dict[str, float]:
        """score, and with answers each category, 0 to 100."""
        grids = {_name(name): name for name in self.prompts}
        judging.complete(folder, grids, "prompts")
        judged = judging.judged(scorer, folder, grids, _ASK)
        scores, categories = self._parts(judged)
        found = {"score": [sum(parts) / len(parts) for parts in scores.values()]}
        for category, right in categories:
            found.setdefault(f"category/{category}", []).append(float(right))
        figures = {name: 100 * sum(v) / len(v) for name, v in found.items()}
        return figures | judging.unjudged(judged)

    def _parts(
        self, judged: Mapping[str, Judgement]
    ) -> tuple[dict[str, list[float]], list[tuple[str, bool]]]:
        """grid -> score of each picture, 0 to 1; (category, yes) of each question.

        As published, a category is of the last picture of each grid, and each of its
        questions counts for itself.
        """
        faults, scores, answered = Faults(), {}, {}
        for path, judgement in judged.items():
            if "answers" not in judgement.says:
                parts = range(1, MOST + 1)
                scores[path] = judgement.numbers(parts, 0, 1, faults)
                continue
            asked = (self.questions or {}).get(path.removesuffix(".png"))
            said = dpg_questions.answers(judgement, asked, MOST, faults)
            answered[path] = asked, said
        faults.stop()
        categories = []
        for path, (asked, said) in answered.items():
            scores[path] = [dpg_questions.share(asked, part) for part in said]
            categories += dpg_questions.by_category(asked, said[-1])
        scores = {path: parts for path, parts in scores.items() if parts}
        if not scores:
            raise BridgeError(judging.SILENCE)
        return scores, categories


def _name(name: str) -> str:
    return f"{name}.png"
