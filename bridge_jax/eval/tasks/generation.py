"""Generation, as GenEval does it: draw into folders, then score what is in them.

    00000/metadata.jsonl          the prompt: tag, include, exclude, prompt
    00000/samples/0000.png ...    the pictures
    00000/grid.png                all of them side by side
    00000/drawing.json            the caption that was drawn, and by which settings

Scoring reads the pictures back and needs no model: `score` judges any such folder.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bridge_jax.data import shapes_world
from bridge_jax.data.shapes import prompts as prompts_lib
from bridge_jax.eval import batches, pictures, records
from bridge_jax.eval.options import Options
from bridge_jax.eval.system import System

_PARTS = ("caption_right", "picture_as_caption", "background_right", "objects_right")


def evaluate(
    model: System, split: str, folder: Path, options: Options
) -> dict[str, float]:
    """The figures of `score` as "queries/..." and "text/...", one folder for each."""
    prompts = shapes_world.geneval_prompts(split, options.prompts_per_tag)
    figures = {}
    for condition in options.conditions:
        draw(model, prompts, folder / condition, condition, options)
        for name, value in score(folder / condition).items():
            figures[f"{condition}/{name}"] = value
    return figures


def draw(
    model: System,
    prompts: Sequence[dict[str, Any]],
    folder: Path,
    condition: str,
    options: Options,
) -> None:
    """Draw `options.images_per_prompt` pictures for each prompt into `folder`."""
    most = max(1, options.batch // options.images_per_prompt)
    for start, rows, real in batches.batches(prompts, most, f"pictures ({condition})"):
        drawings = model.generate(
            [row["prompt"] for row in rows],
            images_per_prompt=options.images_per_prompt,
            seed=options.seed + start,
            condition=condition,
            rewrite=options.rewrite,
            **options.sampling,
        )
        for offset in range(real):
            place = folder / f"{start + offset:05}"
            write(place, rows[offset], drawings[offset], condition)


def write(place: Path, prompt: dict[str, Any], drawing: Any, condition: str) -> None:
    """The folder `place` of one prompt."""
    for number, picture in enumerate(drawing.images):
        records.write_picture(place / "samples" / f"{number:04}.png", picture)
    records.write_picture(place / "grid.png", pictures.grid(drawing.images))
    records.write_lines(place / "metadata.jsonl", [prompt])
    about = {"caption": drawing.caption, "condition": condition}
    records.write_json(place / "drawing.json", about)


def score(folder: Path) -> dict[str, float]:
    """Judge a folder in GenEval's layout and write its scores.jsonl.

    Returns:
      mean of the tags; each tag, a mean over its pictures; and, to tell a wrong caption
      from bad drawing: caption_right, the caption is what the prompt asks for;
      picture_as_caption, the picture shows exactly what the caption says;
      background_right; objects_right, the share of objects that are as it says.

    Raises:
      BridgeError: an unreadable file, or nothing to score.
    """
    found = [record for place in records.numbered(folder) for record in _judge(place)]
    records.write_lines(folder / "scores.jsonl", found)
    by_tag = records.means((one["tag"], one["correct"]) for one in found)
    tags = {tag: by_tag[tag] for tag in prompts_lib.TAGS if tag in by_tag}
    parts = [(part, one[part]) for one in found for part in _PARTS if part in one]
    return {"mean": sum(tags.values()) / len(tags)} | tags | records.means(parts)


def _judge(place: Path) -> list[dict[str, Any]]:
    """A record for each picture; without a drawing.json nothing about captions."""
    prompt = records.read_lines(place / "metadata.jsonl")[0]
    about = place / "drawing.json"
    caption = records.read_json(about)["caption"] if about.is_file() else None
    found = []
    for path in sorted((place / "samples").glob("*.png")):
        shown = records.read_shapes(path)
        record = {
            "image": f"{place.name}/samples/{path.name}",
            "tag": prompt["tag"],
            "correct": shapes_world.geneval_correct(shown, prompt),
        }
        if caption is not None:
            record |= _about_caption(caption, prompt, shown)
        found.append(record)
    return found


def _about_caption(
    caption: str, prompt: dict[str, Any], shown: shapes_world.Scene
) -> dict[str, float]:
    said = shapes_world.parse_caption(caption)
    if said is None:
        return dict.fromkeys(_PARTS, False)
    right = shapes_world.geneval_correct(said, prompt)
    match = shapes_world.scenes_match(shown, said)
    return dict(zip(_PARTS, (right, match.same, match.background, match.share)))
