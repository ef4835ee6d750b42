"""Frames of videos: the right ones, within limits, and conversations about them."""

import json

import miniature
import numpy as np
import pytest
from PIL import Image

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import pipeline, videos

PROCESSOR = miniature.PROCESSOR
RATE = videos.Rate(fps=2.0, least=4, most=8)


def frames(count, size=(32, 48)):
    """Each of one color, which tells its number."""
    return [
        np.full((*size, 3), (10 * n, 255 - 10 * n, 128), np.uint8) for n in range(count)
    ]


def write_animation(path, shown, milliseconds=100):
    first, *rest = map(Image.fromarray, shown)
    lossless = {"lossless": True} if path.suffix == ".webp" else {}
    first.save(
        path, save_all=True, append_images=rest, duration=milliseconds, **lossless
    )


def write_film(path, shown, fps=10):
    av = pytest.importorskip("av", reason="films need the extra `video`")
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=fps)
        stream.height, stream.width = shown[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for one in shown:
            frame = av.VideoFrame.from_ndarray(one, format="rgb24")
            out.mux(stream.encode(frame))
        out.mux(stream.encode())


@pytest.mark.parametrize(
    ("count", "fps", "wanted"),
    [
        (40, 10.0, [0, 6, 11, 17, 22, 28, 33, 39]),  # four seconds, two a second
        (400, 10.0, 8),  # no more than the most
        (10, 30.0, 4),  # no fewer than the least
        (3, 10.0, 2),  # a multiple, as long as there are so many
        (1, 10.0, 1),
    ],
)
def test_frames_are_spaced_evenly(count, fps, wanted):
    found = videos.numbers(count, fps, RATE).tolist()
    assert len(found) == (wanted if isinstance(wanted, int) else len(wanted))
    assert isinstance(wanted, int) or found == wanted
    assert found[0] == 0 and (found[-1] == count - 1 or count == 1)
    gaps = np.diff(found)
    assert len(gaps) == 0 or gaps.max() - gaps.min() <= 1


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_animations_give_the_frames_that_are_asked_for(tmp_path, suffix):
    path, shown = tmp_path / f"a{suffix}", frames(20)
    write_animation(path, shown)
    assert videos.size_of(path, RATE) == (4, 32, 48)
    found = videos.open_video(path, RATE)
    numbers = videos.numbers(20, 10.0, RATE)
    assert found.shape == (4, 32, 48, 3)
    for number, frame in zip(numbers, found, strict=True):
        assert abs(frame.astype(int) - shown[number]).max() <= 3  # GIF's palette


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi"])
def test_films_give_the_frames_that_are_asked_for(tmp_path, suffix):
    path, shown = tmp_path / f"a{suffix}", frames(20)
    write_film(path, shown)
    assert videos.size_of(path, RATE) == (4, 32, 48)
    found = videos.open_video(path, RATE)
    for number, frame in zip(videos.numbers(20, 10.0, RATE), found, strict=True):
        assert abs(frame.astype(int) - shown[number]).max() <= 16  # what a codec costs


def test_damaged_films_are_told(tmp_path):
    path = tmp_path / "a.avi"
    write_film(path, frames(40, (64, 64)))
    whole = path.read_bytes()
    for name, data in {
        "cut": whole[: len(whole) // 4],
        "nothing": b"",
        "noise": bytes(range(256)) * 8,
        "list": b"#EXTM3U\nhttp://127.0.0.1/a.ts\n",
    }.items():
        path.write_bytes(data)
        with pytest.raises(BridgeError, match=r"a.avi: ") as told:
            videos.open_video(path, RATE)
        assert "\n" not in str(told.value), name


def test_other_files_are_told(tmp_path):
    (tmp_path / "a.gif").write_bytes(b"GIF89a")
    with pytest.raises(BridgeError, match="no readable animation"):
        videos.open_video(tmp_path / "a.gif", RATE)
    with pytest.raises(BridgeError, match="videos are read from .gif"):
        videos.open_video(tmp_path / "a.txt", RATE)
    with pytest.raises(BridgeError, match="no such file"):
        videos.open_video(tmp_path / "b.gif", RATE)
    write_animation(tmp_path / "a.gif", frames(6))
    few = videos.Limits(frames=5)
    with pytest.raises(BridgeError, match="6 frames of 48 x 32 are more than 5 of"):
        videos.open_video(tmp_path / "a.gif", RATE, few)
    with pytest.raises(BridgeError, match="more than 10 bytes"):
        videos.open_video(tmp_path / "a.gif", RATE, videos.Limits(bytes=10))
    with pytest.raises(BridgeError, match="is not possible"):
        videos.Rate(least=8, most=4)


@pytest.fixture
def folder(tmp_path):
    write_animation(tmp_path / "a.gif", frames(20))
    Image.new("RGB", (32, 32)).save(tmp_path / "b.png")
    record = {
        "conversations": [
            {"from": "human", "value": "<video>then <image>what? <video>"},
            {"from": "gpt", "value": "red"},
        ],
        "images": ["b.png"],
        "videos": ["a.gif", "a.gif"],
    }
    (tmp_path / "a.jsonl").write_text(json.dumps(record))
    return tmp_path


def stream(folder, **fields):
    given = {"data": str(folder / "a.jsonl"), "length": 128, "num_patches": 256}
    return pipeline.load_stream("conversations", given | fields, PROCESSOR)


def test_videos_and_pictures_stand_where_they_are_mentioned(folder):
    ours = stream(folder, frames=8, video_patches=64)
    row = ours(0)["vlm"]
    tokens, index = row["tokens"], row["image_index"]
    pads = [PROCESSOR.llm.token_id(f"<|{kind}_pad|>") for kind in ("video", "image")]
    kinds = [pads.index(int(token)) for token in tokens[index >= 0]]
    runs = [kind for i, kind in enumerate(kinds) if i == 0 or kinds[i - 1] != kind]
    assert runs == [0, 1, 0]
    # Two seconds and two frames a second are four frames: two pairs, then a picture.
    assert row["patch_segments"].max() == 2 + 1 + 2
    assert (index >= 0).sum() * 4 == (row["patch_segments"] > 0).sum()
    assert ours.tried(0, ours.measure) == (
        (row["segments"] > 0).sum(),
        (row["patch_segments"] > 0).sum(),
    )


def test_a_video_gets_the_patches_that_it_may_have(folder):
    for most in (8, 16, 64):
        row = stream(folder, video_patches=most)(0)["vlm"]
        sizes = np.bincount(row["patch_segments"])[1:]
        assert sizes[0] + sizes[1] <= most and sizes[0] == sizes[1] == sizes[3]
    with pytest.raises(BridgeError, match="not one of its records"):
        stream(folder, video_patches=4, most_bad=1.0)(0)
