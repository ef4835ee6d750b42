"""Cycle consistency: out into a picture and back into words, and the other way round.

    text_image_text     a caption is drawn, the drawing described, that drawn again, ...
    image_text_image    a picture is described, the description drawn, ...

Each cycle ends where it began, in words or in a picture, and is compared with the very
first: do they fix the same scene, and how far apart are the model's own embeddings?
LatentUMM (arXiv 2605.17766) is about what is lost on these ways. Writes, for both,
ROUTE/00000/1.png, ... (what each cycle drew) and ROUTE.jsonl: chain, cycle, caption,
kept, drift.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bridge_jax.data import shapes_world
from bridge_jax.eval import batches, records
from bridge_jax.eval.options import Options
from bridge_jax.eval.system import Picture, System
from bridge_jax.eval.tasks.understanding import ask, matches

ROUTES = ("text_image_text", "image_text_image")
_SPEECHLESS = "nothing"  # stands for a description without a word


def evaluate(
    model: System, split: str, folder: Path, options: Options
) -> dict[str, float]:
    """For each route the share of chains that keep their scene and the mean drift.

    ROUTE is the share after one cycle, ROUTE/kept_N and ROUTE/drift_N after N; drift is
    1 - cosine of the embeddings of first and last, both words or both pictures. Of
    text_image_text, too: drawn, the first drawing shows the caption's scene; answered,
    what the model says when asked about it is right by the caption.
    """
    items = shapes_world.distinct_scenes(split, options.chains)
    figures = {}
    for route in ROUTES:
        found = []
        for start, some, real in batches.batches(items, options.batch, route):
            cycles = _cycles(model, route, some, options, start)
            for number, made in enumerate(cycles, 1):
                found += _judged(made, some[:real], number, start)
                for offset in range(real):
                    place = folder / route / f"{start + offset:05}" / f"{number}.png"
                    records.write_picture(place, made.pictures[offset])
            if route == "text_image_text":
                drawn = cycles[0].pictures
                first = _first_drawing(model, drawn, some, options.think)
                for name, rights in first.items():
                    found += [{"figure": name, "right": one} for one in rights[:real]]
        figures |= _figures(route, found)
        records.write_lines(
            folder / f"{route}.jsonl", (one for one in found if "cycle" in one)
        )
    return figures


@dataclasses.dataclass(frozen=True)
class _Cycle:
    """What one cycle made of B chains: drawn, said, and how far from the beginning."""

    pictures: Sequence[Picture]
    captions: Sequence[str]
    drift: np.ndarray
    ends_in_words: bool


def _cycles(
    model: System,
    route: str,
    items: Sequence[shapes_world.Item],
    options: Options,
    start: int,
) -> list[_Cycle]:
    in_words = route == "text_image_text"
    captions = [item.caption(options.captions) for item in items]
    pictures: Sequence[Picture] = [item.image for item in items]
    origin = _embed(model, in_words, captions, pictures)
    found = []
    for number in range(options.cycles):
        seed = options.seed + start + number * options.chains
        if in_words:
            pictures = _draw(model, captions, seed, options)
            captions = _describe(model, pictures)
        else:
            captions = _describe(model, pictures)
            pictures = _draw(model, captions, seed, options)
        ends = _embed(model, in_words, captions, pictures)
        drift = 1.0 - np.sum(origin * ends, axis=1)
        found.append(_Cycle(pictures, captions, drift, in_words))
    return found


def _draw(
    model: System, captions: Sequence[str], seed: int, options: Options
) -> list[Picture]:
    drawings = model.generate(
        captions,
        images_per_prompt=1,
        seed=seed,
        condition=options.conditions[0],
        rewrite=False,
        **options.sampling,
    )
    return [drawing.images[0] for drawing in drawings]


def _describe(model: System, pictures: Sequence[Picture]) -> list[str]:
    return [text.strip() or _SPEECHLESS for text in model.describe(pictures)]


def _embed(
    model: System,
    in_words: bool,
    captions: Sequence[str],
    pictures: Sequence[Picture],
) -> np.ndarray:
    return model.embed(texts=captions) if in_words else model.embed(images=pictures)


def _judged(
    made: _Cycle, items: Sequence[shapes_world.Item], number: int, start: int
) -> list[dict[str, Any]]:
    found = []
    for i, item in enumerate(items):
        if made.ends_in_words:
            scene = shapes_world.parse_caption(made.captions[i])
        else:
            scene = shapes_world.read_scene(made.pictures[i]).scene
        same = scene is not None and shapes_world.scenes_match(scene, item.scene).same
        found.append(
            {
                "chain": start + i,
                "cycle": number,
                "caption": made.captions[i],
                "kept": bool(same),
                "drift": float(made.drift[i]),
            }
        )
    return found


def _first_drawing(
    model: System,
    pictures: Sequence[Picture],
    items: Sequence[shapes_world.Item],
    think: bool,
) -> dict[str, list[bool]]:
    """Is the caption's scene in it, and does the model say so when asked?"""
    asked = [item.questions(1)[0] for item in items]
    answers = ask(model, pictures, [one.question for one in asked], think)
    shown = [shapes_world.read_scene(picture).scene for picture in pictures]
    return {
        "drawn": [
            shapes_world.scenes_match(scene, item.scene).same
            for scene, item in zip(shown, items, strict=True)
        ],
        "answered": [
            matches(answer["given"], one.answer)
            for answer, one in zip(answers, asked, strict=True)
        ],
    }


def _figures(route: str, found: Sequence[dict[str, Any]]) -> dict[str, float]:
    chains = [one for one in found if "cycle" in one]
    kept = records.means((f"{route}/kept_{c['cycle']}", c["kept"]) for c in chains)
    drift = records.means((f"{route}/drift_{c['cycle']}", c["drift"]) for c in chains)
    first = records.means(
        (f"{route}/{one['figure']}", one["right"]) for one in found if "figure" in one
    )
    return {route: kept[f"{route}/kept_1"]} | kept | drift | first
