"""What an outside judge said, a vision-language model or a person, line by line.

A JSON line a picture: {"picture": path below OUT/NAME, "scores": [...]}, or what else
the benchmark takes; `"scores": null` where the judge gave no verdict.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import faults as faults_lib
from bridge_jax.eval.outside.judging import Judgement


class Scorer:
    """The lines of a file; the benchmark judges what is in them."""

    def __init__(self, argument: str):
        self.file = Path(argument)
        if not argument or not self.file.is_file():
            raise BridgeError(
                f"--scorer recorded:{argument or 'FILE'}: give a file with what a judge"
                ' said, a line {"picture": "x.png", "scores": [...]} for each picture'
            )

    def judge(self, folder: Path, pictures: Mapping[str, Any]) -> dict[str, Judgement]:
        """Each of `pictures` stands in the file once.

        Raises:
          BridgeError: all lines that are of no picture, or of one twice.
        """
        faults, found = faults_lib.Faults(), {}
        for where, line in faults_lib.json_lines(self.file, faults):
            path = line.get("picture")
            if not isinstance(path, str) or path not in pictures:
                faults.add(where, f'"picture" {path!r} is no picture of {folder}')
            elif path in found:
                faults.add(where, f"{path} stands there twice ({found[path].where})")
            else:
                found[path] = Judgement(where, line)
        faults.stop()
        return found
