"""Pictures into colored blobs: the background, coverage by each color, components."""

import dataclasses

import numpy as np

from bridge_jax.data.shapes import palette

COLOR_NAMES = tuple(palette.COLORS)
COLOR_TABLE = np.array(list(palette.COLORS.values()), np.float32)  # [8, 3]
BACKGROUND_NAMES = tuple(palette.BACKGROUNDS)
BACKGROUND_TABLE = np.array(list(palette.BACKGROUNDS.values()), np.float32)  # [5, 3]

# A soft edge can be a weak mixture of one color or a strong one of another: prefer the
# strong one a little, so that flat areas of the second are not read as edges.
EDGE_COST = 0.1


@dataclasses.dataclass(frozen=True)
class Blob:
    """A connected area of one color.

    Attributes:
      color: index into COLOR_NAMES.
      area: bool [64, 64], the pixels more than half covered.
      color_error: RGB distance of its inner pixels from any mixture of its color and
        the background.
    """

    color: int
    area: np.ndarray
    color_error: float


@dataclasses.dataclass(frozen=True)
class Segments:
    """A segmented picture.

    Attributes:
      background: its nearest name.
      background_error: distance of the measured background RGB from the named one.
      coverage: float32 [8, 64, 64] in 0..1, how far a pixel lies from the background
        towards each color.
      blobs: the components, without specks and fringes.
    """

    background: str
    background_error: float
    coverage: np.ndarray
    blobs: list[Blob]


def _measure_background(pixels: np.ndarray) -> tuple[int, np.ndarray]:
    """The most common background color of the border, its measured RGB."""
    border = np.concatenate((pixels[0], pixels[-1], pixels[1:-1, 0], pixels[1:-1, -1]))
    offsets = border[:, None] - BACKGROUND_TABLE[None]
    nearest = np.square(offsets).sum(-1).argmin(-1)
    index = int(np.bincount(nearest).argmax())
    return index, np.median(border[nearest == index], axis=0)


def _color_pixels(pixels: np.ndarray, background: np.ndarray):
    """Coverage float32 [8, H, W] by each color, label int [H, W] (-1 background)."""
    reach = COLOR_TABLE - background  # [8, 3]
    power = np.square(reach).sum(-1)[:, None, None]
    offset = pixels - background
    # Three products rather than a matmul, whose threads cost more than they save.
    along = sum(reach[:, c, None, None] * offset[None, ..., c] for c in range(3))
    coverage = np.clip(along / power, 0.0, 1.0)
    # Squared distance to the segment from background to color, less |offset|^2.
    cost = coverage * (coverage * power - 2 * along)
    cost += EDGE_COST * power * np.square(1 - coverage)
    label = cost.argmin(0)
    best = np.take_along_axis(coverage, label[None], 0)[0]
    return coverage, np.where(best > 0.5, label, -1)


def _runs(label: np.ndarray) -> list[tuple[int, int, int, int]]:
    """Horizontal runs (row, first column, end column, label), background left out."""
    width = label.shape[1]
    starts = np.ones(label.shape, bool)
    starts[:, 1:] = label[:, 1:] != label[:, :-1]
    begin = np.flatnonzero(starts)
    length = np.diff(np.append(begin, label.size))
    value = label.reshape(-1)[begin]
    kept = value >= 0
    rows, columns = np.divmod(begin[kept], width)
    ends = columns + length[kept]
    return list(zip(*(part.tolist() for part in (rows, columns, ends, value[kept]))))


def components(label: np.ndarray) -> list[list[tuple[int, int, int, int]]]:
    """8-connected areas of equal label as lists of runs, by union-find over runs."""
    runs = _runs(label)
    parent = list(range(len(runs)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = i = parent[parent[i]]
        return i

    above = 0  # the first run that can touch the present one from the row above
    for i, (row, start, end, value) in enumerate(runs):
        while runs[above][0] < row - 1:
            above += 1
        for j in range(above, i):
            other_row, other_start, other_end, other_value = runs[j]
            if other_row == row:
                break
            if other_value == value and other_start <= end and start <= other_end:
                parent[root(j)] = root(i)
    groups: dict[int, list] = {}
    for i, run in enumerate(runs):
        groups.setdefault(root(i), []).append(run)
    return list(groups.values())


def grow(area: np.ndarray) -> np.ndarray:
    """A bool area and its 8-neighbours: soft edges belong to the shape they bound."""
    wide = area.copy()
    wide[:, 1:] |= area[:, :-1]
    wide[:, :-1] |= area[:, 1:]
    tall = wide.copy()
    tall[1:] |= wide[:-1]
    tall[:-1] |= wide[1:]
    return tall


def _is_fringe(area: np.ndarray, label: np.ndarray) -> bool:
    """Whether an area is the edge of another: thin (no 3 x 3 pixels) and touching it.

    Half-covered pixels of one color can look like a weak second color.
    """
    if np.any(~grow(~area)):
        return False
    return bool(np.any(grow(area) & ~area & (label >= 0)))


def _blob(runs: list, pixels: np.ndarray, measured: np.ndarray, coverage) -> Blob:
    area = np.zeros(pixels.shape[:2], bool)
    for row, start, end, _ in runs:
        area[row, start:end] = True
    color = runs[0][3]
    cover = coverage[color][area]
    inner = cover >= np.median(cover)
    ideal = measured + np.median(cover[inner]) * (COLOR_TABLE[color] - measured)
    error = np.linalg.norm(np.median(pixels[area][inner], axis=0) - ideal)
    return Blob(color, area, float(error))


def segment(picture: np.ndarray, speck: int) -> Segments:
    """Segments a uint8 [64, 64, 3] picture; areas below `speck` pixels are ignored."""
    pixels = picture.astype(np.float32)
    index, measured = _measure_background(pixels)
    coverage, label = _color_pixels(pixels, measured)
    found = components(label)
    sizes = [sum(end - start for _, start, end, _ in runs) for runs in found]
    large = [runs for runs, size in zip(found, sizes) if size >= speck]
    blobs = [_blob(runs, pixels, measured, coverage) for runs in large]
    blobs = [blob for blob in blobs if not _is_fringe(blob.area, label)]
    error = float(np.linalg.norm(measured - BACKGROUND_TABLE[index]))
    return Segments(BACKGROUND_NAMES[index], error, coverage, blobs)
