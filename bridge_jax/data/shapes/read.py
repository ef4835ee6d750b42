"""The reader: a picture back into its scene, by color, components and geometry.

Generation and editing are scored with it, so it forgives what a decoder does to edges
and colors (blur, noise, a shade off), and does not forgive a wrong or doubtful shape.
"""

import dataclasses
import functools

import numpy as np

from bridge_jax.core import errors
from bridge_jax.data.shapes import draw, palette, scene, segment
from bridge_jax.data.shapes.scene import Object, Scene

SPECK = 12  # pixels; a small star, the least of all, covers about 40
LEAST_OVERLAP = 0.7  # of drawn and ideal shape; below it the shape is unknown
MOST_COLOR_ERROR = 45.0  # RGB distance; beyond it a blob has no named color
MOST_BACKGROUND_ERROR = 40.0

# Ideal shapes are tried sharp and as blurred as an autoencoder may leave them.
SOFTNESSES = (0.0, 1.0)

# Ideal shapes are made at centres and radii of this grid, in pixels.
GRID = 0.25
RADII = (4.5, 10.0)  # of readable objects; sizes part half-way between the named ones
SIZE_BORDER = sum(palette.SIZES.values()) / 2

PAD = draw.WINDOW


@dataclasses.dataclass(frozen=True)
class Reading:
    """What a picture shows, and how sure that is.

    Attributes:
      scene: objects of no known shape have shape None, and so match nothing.
      overlaps: for each object of the scene the soft intersection over union with its
        ideal shape, 0..1.
      background_error: RGB distance from the named background.
    """

    scene: Scene
    overlaps: tuple[float, ...]
    background_error: float

    @property
    def confidence(self) -> float:
        """The least overlap, 0 when something could not be read or nothing is there."""
        known = all(thing.shape for thing in self.scene.objects)
        trusted = self.background_error <= MOST_BACKGROUND_ERROR
        return min(self.overlaps, default=0.0) if known and trusted else 0.0


@functools.cache
def _moments(shape: str) -> tuple[float, float, float]:
    """Area for radius 1, and where the centre of mass lies from the centre (x, y)."""
    radius = palette.SIZES["large"]
    cover, _, _ = draw.mask(shape, radius, 0.0, 0.0)
    middle = np.arange(draw.WINDOW) + 0.5 - draw.REACH
    area = float(cover.sum())
    mass_x, mass_y = float(cover.sum(0) @ middle), float(cover.sum(1) @ middle)
    return area / radius**2, mass_x / area / radius, mass_y / area / radius


def _snap(value: float) -> float:
    return round(value / GRID) * GRID


def _overlap(padded: np.ndarray, total: float, shape: str, radius: float, x, y):
    """Soft intersection over union of a coverage map and an ideal shape."""
    best = 0.0
    for softness in SOFTNESSES:
        ideal, top, left = draw.mask(shape, radius, x, y, softness)
        top, left = top + PAD, left + PAD
        seen = padded[top : top + draw.WINDOW, left : left + draw.WINDOW]
        shared = float(np.minimum(seen, ideal).sum())
        best = max(best, shared / (total + float(ideal.sum()) - shared))
    return best


def _covers(found: segment.Segments, blob: segment.Blob) -> list[np.ndarray]:
    """Coverage by a blob and its soft edge, float32 [64, 64] in 0..1, in two guesses.

    A peak below 1 may come from blur, or from a color paler than the palette's.
    """
    near = segment.grow(segment.grow(blob.area))
    for other in found.blobs:
        if other is not blob:
            near &= ~other.area
    cover = found.coverage[blob.color] * near
    inside = cover[blob.area]
    peak = float(np.median(inside[inside >= np.median(inside)]))
    if peak > 0.95:
        return [cover]
    return [cover, np.minimum(cover / max(peak, 0.7), 1.0)]


def _fit(cover: np.ndarray) -> tuple[float, str, float, float, float]:
    """The best (overlap, shape, radius, x, y) for a coverage map, float32 [64, 64]."""
    total = float(cover.sum())
    middle = np.arange(palette.IMAGE_SIZE) + 0.5
    mass_x = float(cover.sum(0) @ middle) / total
    mass_y = float(cover.sum(1) @ middle) / total
    padded = np.pad(cover, PAD)
    fits = []
    for shape in palette.SHAPES:
        area, offset_x, offset_y = _moments(shape)
        radius = min(max((total / area) ** 0.5, RADII[0]), RADII[1])
        x, y = mass_x - radius * offset_x, mass_y - radius * offset_y
        overlap = _overlap(padded, total, shape, _snap(radius), _snap(x), _snap(y))
        fits.append((overlap, shape, radius, x, y))
    return max(fits)


def _read_blob(found: segment.Segments, blob: segment.Blob) -> tuple[Object, float]:
    """The object that fits a blob best, and their overlap."""
    overlap, shape, radius, x, y = max(_fit(cover) for cover in _covers(found, blob))
    known = overlap >= LEAST_OVERLAP and blob.color_error <= MOST_COLOR_ERROR
    size = "small" if radius < SIZE_BORDER else "large"
    color, place = segment.COLOR_NAMES[blob.color], nearest_place(x, y)
    return Object(shape if known else None, color, size, place, x, y), overlap


def nearest_place(x: float, y: float) -> str:
    def distance(place: str) -> float:
        place_x, place_y = palette.PLACES[place]
        return (x - place_x) ** 2 + (y - place_y) ** 2

    return min(palette.PLACES, key=distance)


def read_scene(picture: np.ndarray) -> Reading:
    """Reads a picture, uint8 [64, 64, 3] (height, width, RGB).

    Raises:
      BridgeError: the array has another shape or type.
    """
    size = palette.IMAGE_SIZE
    if picture.shape != (size, size, 3) or picture.dtype != np.uint8:
        raise errors.BridgeError(
            f"the shapes reader takes uint8 [{size}, {size}, 3] pictures, not "
            f"{picture.dtype} {list(picture.shape)}: resize and convert to RGB first"
        )
    found = segment.segment(picture, SPECK)
    things = [_read_blob(found, blob) for blob in found.blobs]
    things.sort(key=lambda pair: (scene.PLACE_ORDER[pair[0].place], pair[0].x))
    shown = Scene(found.background, tuple(thing for thing, _ in things))
    overlaps = tuple(overlap for _, overlap in things)
    return Reading(shown, overlaps, found.background_error)
