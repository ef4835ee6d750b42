"""What GenEval's own evaluator found: its results.jsonl.

    python evaluation/evaluate_images.py OUT/geneval --outfile results.jsonl

writes a line a picture: filename, tag, prompt, correct, reason, metadata, details
(https://github.com/djghosh13/geneval). It needs an old mmdet and a GPU, and may run
elsewhere: of a filename only the last three parts count, 00000/samples/0000.png.
"""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import faults as faults_lib
from bridge_jax.eval.outside.judging import Judgement


class Scorer:
    """1 for a picture that the file calls correct, 0 for another."""

    def __init__(self, argument: str):
        self.file = Path(argument)
        if not argument or not self.file.is_file():
            raise BridgeError(
                f"--scorer geneval_results:{argument or 'FILE'}: give the results.jsonl"
                " that GenEval's evaluation/evaluate_images.py writes, JSON lines with"
                ' "filename", "tag", "prompt" and "correct"'
            )

    def judge(self, folder: Path, pictures: Mapping[str, Any]) -> dict[str, Judgement]:
        """`pictures` are made for GenEval's metadata; each stands in the file once.

        Raises:
          BridgeError: all lines that are of no picture, of one twice, or of another
            prompt.
        """
        faults, found = faults_lib.Faults(), {}
        for where, line in faults_lib.json_lines(self.file, faults):
            name, correct = line.get("filename"), line.get("correct")
            if not isinstance(name, str) or not isinstance(correct, bool):
                faults.add(where, 'needs a "filename" and "correct", true or false')
                continue
            path = "/".join(PurePosixPath(name.replace("\\", "/")).parts[-3:])
            if path not in pictures:
                faults.add(where, f"{name} is no picture of {folder}")
            elif path in found:
                faults.add(where, f"{path} stands there twice ({found[path].where})")
            elif line.get("prompt") != pictures[path]["prompt"]:
                faults.add(where, f"{path} was made for another prompt")
            else:
                found[path] = Judgement(where, {"scores": [float(correct)]})
        faults.stop()
        return found
