"""3x3 convolutions by Winograd's minimal filtering, F(2x4, 3x3) or F(2x2, 3x3).

Eight neighbouring outputs, two rows of four, take 24 products for 72, or four in a
square 16 for 36 (Lavin and Gray 2016, arXiv 1509.09308). The picture is cut into tiles
that overlap by two pixels. Tiles and kernel go through small matrices, are multiplied
place by place (each place a product of matrices over channels), and go back through a
third. In float32 the square rounds one and a half times as much as the plain way, the
two rows two to three times. Squares of four would round ten times as much.

Every step is linear, so the kernel's gradient goes the same way back.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from bridge_jax.core.types import Array
from bridge_jax.layers.minimal_filter import FOUR, TWO, Filter

Grid = list[list[jax.Array]]

# Measured on two CPU cores: gradients of kernels take an eighth to a half of the time
# from 64 channels on; 8 x 8 pixels are too few.
CHANNELS = 64
PIXELS = 256


def suits(x: Float[Array, "B h w I"], kernel: Float[Array, "3 3 I O"]) -> bool:
    """Whether the kernel's gradient is faster this way.

    Only even sides are cut into whole tiles.
    """
    _, height, width, channels = x.shape
    wide = min(channels, kernel.shape[-1]) >= CHANNELS and height * width >= PIXELS
    return wide and height % 2 == width % 2 == 0


def pays(x: Float[Array, "B h w I"], kernel: Float[Array, "3 3 I O"]) -> bool:
    """Whether the convolution itself is.

    Products saved grow with tiles and both widths, what goes through the matrices with
    tiles and the widths' sum, and for the kernel with both widths alone. So few tiles
    do not pay, nor narrow pictures that are too large for caches. Measured on two CPU
    cores at 47 sizes, with tiles of two rows by four: what these rules choose takes
    1.2 times as long as the better way at most.
    """
    batch, height, width, channels = x.shape
    narrow = min(channels, kernel.shape[-1])
    tiles = batch * height * width // 8
    if tiles < (128 if narrow >= 192 else 512):
        return False
    return suits(x, kernel) and (narrow >= 96 or height * width < 128 * 128)


def same(
    x: Float[Array, "B h w I"], kernel: Float[Array, "3 3 I O"]
) -> Float[Array, "B h w O"]:
    """`convolution.same`, but for rounding; height and width are even.

    Halves are multiplied and added as float32, and what comes out is rounded once.
    """
    batch, height, width, _ = x.shape
    down, across = _cut(x)
    taps = _single(kernel).reshape(9, -1)
    kernels = _both(down.kernel, across.kernel) @ taps
    kernels = kernels.reshape(down.places, across.places, *kernel.shape[2:])
    products = _multiplied(_tiles(_single(x), down, across), kernels)
    outputs = _mixed(down.output, across.output, products)
    tiles = (batch, height // down.outputs, width // across.outputs, kernel.shape[-1])
    rows = [jnp.stack([one.reshape(tiles) for one in row], axis=3) for row in outputs]
    y = jnp.stack(rows, axis=2).reshape(batch, height, width, -1)
    return y.astype(x.dtype)


def kernel_gradient(
    x: Float[Array, "B h w I"], gradient: Float[Array, "B h w O"]
) -> Float[Array, "3 3 I O"]:
    """The gradient of `same` for its kernel, from that for what it gives."""
    down, across = _cut(x)
    # Tiles anew: kept from the forward pass, they would take three times as much as x.
    x, gradient = jax.lax.optimization_barrier((x, gradient))
    tiles = [[one.T for one in row] for row in _tiles(_single(x), down, across)]
    products = _multiplied(tiles, _outputs(_single(gradient), down, across))
    kernels = jnp.stack([one.ravel() for row in products for one in row])
    taps = _both(down.kernel, across.kernel).T @ kernels
    return taps.reshape(3, 3, *products[0][0].shape).astype(gradient.dtype)


def _cut(x: jax.Array) -> tuple[Filter, Filter]:
    """What tiles go through downwards and across."""
    return TWO, (FOUR if x.shape[2] % FOUR.outputs == 0 else TWO)


def _both(down: np.ndarray, across: np.ndarray) -> jax.Array:
    """[places, 9]: all taps to all places at once."""
    return jnp.asarray(np.kron(down, across), jnp.float32)


def _tiles(x: jax.Array, down: Filter, across: Filter) -> Grid:
    """All tiles of a picture: for each of their places an array [tiles, C].

    Rows are mixed before tiles are cut across, which share their columns.
    """
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    rows = _sums(down.tile, _windows(padded, 1, down))
    return [
        [_flat(one) for one in _sums(across.tile, _windows(row, 2, across))]
        for row in rows
    ]


def _outputs(y: jax.Array, down: Filter, across: Filter) -> Grid:
    """All outputs as what their tiles' products make of them: arrays [tiles, C]."""
    rows = _sums(down.output.T, _apart(y, 1, down.outputs))
    return [
        [_flat(one) for one in _sums(across.output.T, _apart(row, 2, across.outputs))]
        for row in rows
    ]


def _windows(x: jax.Array, axis: int, by: Filter) -> list[jax.Array]:
    """For each place along an axis what tiles, which overlap, have there."""
    last = x.shape[axis] - by.places
    return [
        jax.lax.slice_in_dim(x, place, place + last + 1, by.outputs, axis)
        for place in range(by.places)
    ]


def _apart(x: jax.Array, axis: int, count: int) -> list[jax.Array]:
    """Every `count`-th of an axis, from the first on, from the second, and so on."""
    return [jax.lax.slice_in_dim(x, i, None, count, axis) for i in range(count)]


def _single(x: jax.Array) -> jax.Array:
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def _flat(x: jax.Array) -> jax.Array:
    return x.reshape(-1, x.shape[-1])


def _multiplied(one: Grid, other: Grid) -> Grid:
    """Matrices of the same place multiplied."""
    return [
        [x @ y for x, y in zip(*rows, strict=True)]
        for rows in zip(one, other, strict=True)
    ]


def _mixed(down: np.ndarray, across: np.ndarray, grid: Grid) -> Grid:
    """down @ grid @ across.T, of a grid of arrays."""
    columns = [_sums(down, list(column)) for column in zip(*grid, strict=True)]
    return [_sums(across, list(row)) for row in zip(*columns, strict=True)]


def _sums(matrix: np.ndarray, arrays: list[jax.Array]) -> list[jax.Array]:
    """For each row of the matrix the arrays' sum, each times its factor."""
    return [_sum(row.tolist(), arrays) for row in matrix]


def _sum(factors: list[float], arrays: list[jax.Array]) -> jax.Array:
    total = None
    for factor, array in zip(factors, arrays, strict=True):
        if factor == 0:
            continue
        one = array if factor == 1 else -array if factor == -1 else factor * array
        total = one if total is None else total + one
    return total
