"""Editing: change one thing of a picture and leave the rest alone.

    00000/source.png              what is edited
    00000/target_scene.json       what must be shown afterwards
    00000/metadata.jsonl          kind, instruction, source and target scene
    00000/samples/0000.png        the edited picture
    00000/edit.json               the caption of the edited picture, by the model

Scoring reads the pictures back and needs no model: `score` judges any such folder.
"""

from pathlib import Path
from typing import Any

from bridge_jax.data import shapes_world
from bridge_jax.data.choices import Choices
from bridge_jax.data.shapes import edits as edits_lib
from bridge_jax.eval import batches, records
from bridge_jax.eval.options import Options
from bridge_jax.eval.system import System

_PARTS = (
    "success",
    "caption_right",
    "picture_as_caption",
    "background_right",
    "objects_right",
)


def evaluate(
    model: System, split: str, folder: Path, options: Options
) -> dict[str, float]:
    """The figures of `score` for edits made by `model`."""
    make(model, edits(split, options.edits), folder, options)
    return score(folder)


def edits(split: str, count: int) -> list[shapes_world.Edit]:
    """The first `count` edits of a split, its kinds in turn."""
    kinds = edits_lib.KINDS
    return [
        edits_lib.sample(Choices(0, split, i, "evaluate/edit"), split, kinds[i % 6])
        for i in range(count)
    ]


def make(
    model: System,
    wanted: list[shapes_world.Edit],
    folder: Path,
    options: Options,
) -> None:
    """Let the model edit, and write what it was asked and what it made."""
    for start, rows, real in batches.batches(wanted, options.batch, "edits"):
        sources = [shapes_world.render(edit.source) for edit in rows]
        made = model.edit(
            sources,
            [edit.instruction for edit in rows],
            seed=options.seed + start,
            bert=options.edits_bert,
            **options.sampling,
        )
        for offset in range(real):
            place, edit = folder / f"{start + offset:05}", rows[offset]
            records.write_picture(place / "source.png", sources[offset])
            sample = made[offset].images[0]
            records.write_picture(place / "samples" / "0000.png", sample)
            records.write_lines(place / "metadata.jsonl", [edit.to_json()])
            records.write_json(place / "target_scene.json", edit.target.to_json())
            records.write_json(place / "edit.json", {"caption": made[offset].caption})


def score(folder: Path) -> dict[str, float]:
    """Judge a folder of edits and write its scores.jsonl.

    Returns:
      success, the share of pictures that show exactly the target; the same for each
      kind; and which part of it went well: caption_right, the caption says the target;
      picture_as_caption, the picture shows what the caption says; background_right;
      objects_right, the share of objects that are as wanted.

    Raises:
      BridgeError: an unreadable file, or nothing to score.
    """
    found = [_judge(place) for place in records.numbered(folder)]
    records.write_lines(folder / "scores.jsonl", found)
    kinds = records.means((one["kind"], one["success"]) for one in found)
    parts = records.means((name, one[name]) for one in found for name in _PARTS)
    return parts | {kind: kinds[kind] for kind in edits_lib.KINDS if kind in kinds}


def _judge(place: Path) -> dict[str, Any]:
    metadata = records.read_lines(place / "metadata.jsonl")[0]
    target = shapes_world.Scene.from_json(
        records.read_json(place / "target_scene.json")
    )
    shown = records.read_shapes(place / "samples" / "0000.png")
    said = shapes_world.parse_caption(records.read_json(place / "edit.json")["caption"])
    match = shapes_world.scenes_match(shown, target)
    return {
        "folder": place.name,
        "kind": metadata["kind"],
        "success": match.same,
        "caption_right": _same(said, target),
        "picture_as_caption": _same(said, shown),
        "background_right": match.background,
        "objects_right": match.share,
    }


def _same(one: shapes_world.Scene | None, other: shapes_world.Scene) -> bool:
    return one is not None and shapes_world.scenes_match(one, other).same
