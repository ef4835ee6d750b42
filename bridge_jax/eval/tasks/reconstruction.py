"""Reconstruction: what the autoencoder alone gives back of pictures.

What it loses drawing will hardly show. It asks for no other part of a model, so an
autoencoder can be measured before anything is trained on its latents.
"""

from pathlib import Path

import numpy as np

from bridge_jax.data import shapes_world
from bridge_jax.eval import batches, records
from bridge_jax.eval.options import Options
from bridge_jax.eval.system import Picture, System


def evaluate(
    model: System, split: str, folder: Path, options: Options
) -> dict[str, float]:
    """same, the share that still shows its scene, and psnr, the mean in dB.

    Writes 00000/source.png, 00000/reconstructed.png, ... and reconstructed.jsonl:
    caption, same, psnr.
    """
    items = shapes_world.distinct_scenes(split, options.scenes)
    lines = []
    for start, some, real in batches.batches(items, options.batch, "reconstruction"):
        drawn = model.reconstruct([item.image for item in some])[:real]
        for offset, (item, picture) in enumerate(zip(some, drawn)):
            place = folder / f"{start + offset:05}"
            records.write_picture(place / "source.png", item.image)
            records.write_picture(place / "reconstructed.png", picture)
            seen = shapes_world.read_scene(picture).scene
            lines.append(
                {
                    "caption": item.caption("canonical"),
                    "same": bool(shapes_world.scenes_match(seen, item.scene).same),
                    "psnr": psnr(picture, item.image),
                }
            )
    records.write_lines(folder / "reconstructed.jsonl", lines)
    return records.means(
        (name, line[name]) for line in lines for name in ("same", "psnr")
    )


def psnr(picture: Picture, original: Picture) -> float:
    """Peak signal-to-noise ratio in dB of uint8 [H, W, 3]; of equal pictures 100."""
    error = np.mean(np.square(picture.astype(np.float64) - original))
    return float(10 * np.log10(255**2 / error)) if error else 100.0
