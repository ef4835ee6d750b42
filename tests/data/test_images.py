"""Opening strangers' pictures."""

import io
import os
import struct
import zlib

import numpy as np
import PIL.Image
import pytest

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import images


def _picture(height=20, width=30, seed=0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


def _bytes(image: PIL.Image.Image, kind: str, **options) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def _png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and has next to no data."""

    def chunk(name: bytes, data: bytes) -> bytes:
        crc = zlib.crc32(name + data)
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", crc)

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = (
        chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    )
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_lossless_formats_open_exactly_from_every_source(tmp_path, kind):
    pixels = _picture()
    data = _bytes(PIL.Image.fromarray(pixels), kind)
    path = tmp_path / "x"
    path.write_bytes(data)
    for source in (data, path, str(path), PIL.Image.open(path), pixels):
        opened = images.open_image(source)
        assert opened.dtype == np.uint8
        np.testing.assert_array_equal(opened, pixels)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "GIF"])
def test_lossy_formats_open_near(kind):
    smooth = np.tile(np.arange(0, 240, 8, dtype=np.uint8)[None, :, None], (20, 1, 3))
    opened = images.open_image(_bytes(PIL.Image.fromarray(smooth), kind))
    assert np.abs(opened.astype(int) - smooth.astype(int)).mean() < 4


def test_exif_orientation_is_applied():
    pixels = _picture()
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # shown rotated by a quarter turn clockwise
    data = _bytes(PIL.Image.fromarray(pixels), "PNG", exif=exif)
    np.testing.assert_array_equal(images.open_image(data), np.rot90(pixels, -1))


def test_every_mode_becomes_rgb():
    red = PIL.Image.new("RGB", (8, 6), (200, 30, 30))
    cmyk = images.open_image(_bytes(red.convert("CMYK"), "TIFF"))
    assert np.abs(cmyk.astype(int) - (200, 30, 30)).max() < 4
    palette = images.open_image(_bytes(red.convert("P"), "PNG"))
    assert palette.shape == (6, 8, 3)
    grey = np.full((6, 8), 40000, np.uint16)
    opened = images.open_image(_bytes(PIL.Image.fromarray(grey), "PNG"))
    assert (opened == round(40000 / 257)).all()
    one_bit = images.open_image(_bytes(red.convert("1"), "PNG"))
    assert set(np.unique(one_bit)) <= {0, 255}
    clear = PIL.Image.new("RGBA", (8, 6), (255, 0, 0, 0))
    assert (images.open_image(_bytes(clear, "PNG")) == 255).all()
    for mode in ("LA", "PA", "YCbCr", "RGBX"):
        assert images.open_image(red.convert(mode)).shape == (6, 8, 3)


def test_an_animation_gives_its_first_frame_up_to_a_limit():
    frames = [PIL.Image.new("RGB", (8, 6), color) for color in ("red", "green", "blue")]
    data = _bytes(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert (images.open_image(data) == (255, 0, 0)).all()
    with pytest.raises(BridgeError, match="3 frames is more than the limit of 2"):
        images.open_image(data, images.Limits(frames=2))


def test_bad_files_are_one_line_with_the_path(tmp_path):
    good = _bytes(PIL.Image.fromarray(_picture(200, 200)), "JPEG")
    cases = {
        "empty.png": (b"", "empty"),
        "text.png": (b"hello, I am no picture", "not a readable picture"),
        "cut.jpg": (good[: len(good) // 2], "damaged or cut short"),
        "head.png": (_png_header(64, 64), "damaged or cut short"),
        "bomb.png": (_png_header(10_000, 10_000), "more than the limit of"),
        "huge.png": (
            _png_header(60_000, 60_000),
            "too many pixels|more than the limit",
        ),
        "thin.png": (_png_header(30_000, 10), "crop it"),
        "page.pdf": (_bytes(PIL.Image.new("RGB", (9, 9)), "PDF"), "not a readable"),
    }
    for name, (data, message) in cases.items():
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(BridgeError, match=message) as caught:
            images.open_image(path)
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(BridgeError, match="is a directory"):
        images.open_image(tmp_path)
    with pytest.raises(BridgeError, match="no such file"):
        images.open_image(tmp_path / "absent.png")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BridgeError, match="not a regular file"):
        images.open_image(tmp_path / "pipe")
    for odd in ("a\0b", "x" * 5000):
        with pytest.raises(BridgeError):
            images.open_image(odd)


def test_size_limits_hold_for_bytes_and_arrays():
    data = _bytes(PIL.Image.fromarray(_picture()), "PNG")
    with pytest.raises(BridgeError, match="bytes is more than the limit of 10"):
        images.open_image(data, images.Limits(bytes=10))
    with pytest.raises(BridgeError, match="more than the limit of 100 pixels"):
        images.open_image(_picture(), images.Limits(pixels=100))
    with pytest.raises(BridgeError, match=r"give uint8 \[height, width, 3\]"):
        images.open_image(np.zeros((4, 4)))


def test_flipped_bits_never_escape_as_another_error():
    good = bytearray(_bytes(PIL.Image.fromarray(_picture(64, 64)), "PNG"))
    jpeg = bytearray(_bytes(PIL.Image.fromarray(_picture(64, 64)), "JPEG"))
    rng = np.random.default_rng(3)
    outcomes = set()
    for data in [good, jpeg] * 100:
        damaged = bytearray(data)
        for _ in range(3):
            damaged[rng.integers(len(damaged))] ^= 1 << int(rng.integers(8))
        try:
            images.open_image(bytes(damaged))
            outcomes.add("opened")
        except BridgeError:
            outcomes.add("refused")
    assert outcomes == {"opened", "refused"}


def test_vae_range_is_inverted_exactly():
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    scaled = images.to_vae_range(levels)
    assert scaled.min() == -1 and scaled.max() == 1 and scaled.dtype == np.float32
    np.testing.assert_array_equal(images.from_vae_range(scaled), levels)
    assert images.from_vae_range(np.array([-3.0, 3.0])).tolist() == [0, 255]


def test_crop_square_keeps_the_middle():
    assert images.crop_square(_picture(30, 50), 16).shape == (16, 16, 3)
    assert images.crop_square(_picture(8, 9), 16).shape == (16, 16, 3)
    pixels = _picture(16, 20)
    np.testing.assert_array_equal(images.crop_square(pixels, 16), pixels[:, 2:18])
