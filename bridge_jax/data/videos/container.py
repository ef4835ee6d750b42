"""Films (MP4, MOV, MKV, WebM, AVI), read by PyAV: the extra `video`.

Frames are decoded one after another up to the last that is wanted. Only the demuxer
of the suffix is tried, and only local files are opened: some formats are lists of
addresses.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bridge_jax.core.errors import BridgeError

DEMUXERS = {
    ".mp4": "mov",
    ".m4v": "mov",
    ".mov": "mov",
    ".mkv": "matroska",
    ".webm": "matroska",
    ".avi": "avi",
}
LOCAL = {"protocol_whitelist": "file"}


class Reader:
    """See `videos.Reader`.

    Raises:
      BridgeError: PyAV is missing, or the file has no film that it can read.
    """

    def __init__(self, path: Path):
        self._path = path
        with self._opened() as container:
            film = self._film(container)
            self.size = film.codec_context.height, film.codec_context.width
            self.fps = float(film.average_rate or film.guessed_rate or 0)
            self.count = film.frames or self._by_duration(container, film)
        if not self.count or not self.fps or not all(self.size):
            raise BridgeError(f"{path}: its header tells no size, rate or length")

    def frames(self, numbers: Sequence[int]) -> np.ndarray:
        wanted, found = list(numbers), []
        av = _av()
        with self._opened() as container:
            film = self._film(container)
            film.thread_type = "NONE"  # rows are read by several threads as it is
            try:
                for number, frame in enumerate(container.decode(film)):
                    while len(found) < len(wanted) and wanted[len(found)] == number:
                        found.append(frame.to_ndarray(format="rgb24"))
                    if len(found) == len(wanted):
                        break
            except (av.FFmpegError, ValueError) as error:
                raise BridgeError(f"{self._path}: is damaged ({error})") from error
        if not found:
            raise BridgeError(f"{self._path}: not one frame can be read")
        # Headers may count frames that never come; the last one stands for those.
        if len(wanted) - len(found) > len(wanted) // 4 + 1:
            raise BridgeError(
                f"{self._path}: is cut short: {len(found)} of {len(wanted)} frames"
            )
        return np.stack(found + [found[-1]] * (len(wanted) - len(found)))

    def _opened(self) -> Any:
        av = _av()
        demuxer = DEMUXERS[self._path.suffix.lower()]
        try:
            return av.open(str(self._path), format=demuxer, options=LOCAL)
        except (av.FFmpegError, OSError, ValueError) as error:
            raise BridgeError(
                f"{self._path}: is no readable video ({error})"
            ) from error

    def _film(self, container: Any) -> Any:
        if not container.streams.video:
            raise BridgeError(f"{self._path}: has no pictures, only sound")
        return container.streams.video[0]

    def _by_duration(self, container: Any, film: Any) -> int:
        if film.duration and film.time_base:
            return int(film.duration * film.time_base * self.fps)
        return int((container.duration or 0) / 1e6 * self.fps)


def _av() -> Any:
    try:
        import av
    except ImportError:
        raise BridgeError("films need PyAV: pip install 'bridge_jax[video]'") from None
    return av
