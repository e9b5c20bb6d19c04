"""Videos, decoded forwards, one frame at a time, by PyAV (FFmpeg's libraries)."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import av
import numpy as np

from tst.decoding.archives import BROKEN
from tst.errors import UserError

LARGEST_SIDE = 16384


class Video:
    """The frames of a video in the order they are shown.

    Attributes:
        where: for messages.
        width, height: of the stored frames (before `turns`).
        times: (N,) float64 seconds of each frame's presentation, from the container's index; the first need not be 0.
        turns: quarter turns clockwise that the container asks players for.
        rate: frames a second, on average.
    """

    def __init__(self, source: Path | IO[bytes], where: str, hidden: bool = False):
        """Open a file or a stream that can be sought in, and list its frames without decoding them.

        Args:
            source: the video.
            where: what to call it in messages.
            hidden: also the frames that the container's edit list hides from players.

        Raises:
            UserError: it is not a video, or is cut off before its index.
        """
        self.where, self._source = where, source
        self._options = {"ignore_editlist": "1"} if hidden else {}
        self._lock = threading.Lock()
        self._decoder: Iterator[Any] | None = None
        self._container: Any = None
        self._borrowed: _Borrowed | None = None
        self._next = 0
        self._container = container = self._open()
        try:
            stream = container.streams.video[0]
            if stream.codec_context is None:
                raise UserError(
                    f"{where}: its codec is unknown, or the file damaged. Convert it to H.264, or copy it again."
                )
            self.width, self.height = stream.codec_context.width, stream.codec_context.height
            if not (0 < self.width <= LARGEST_SIDE and 0 < self.height <= LARGEST_SIDE):
                raise UserError(f"{where}: frames of {self.width}x{self.height} pixels. Record it again.")
            base = float(stream.time_base) if stream.time_base else 0.0
            # Packets are in the order of decoding; what is shown is in the order of their time stamps.
            stamps = [packet.pts for packet in container.demux(stream) if packet.pts is not None and packet.size]
            self._stamps = np.unique(np.array(stamps, np.int64))
            self.times = self._stamps * base
            self.turns = 0
        except (av.FFmpegError, IndexError, *BROKEN) as error:
            if isinstance(error, UserError):
                raise
            raise self._damaged(error) from None
        finally:
            self._close()
        if len(self.times) == 0:
            raise UserError(f"{where}: holds no frames. Copy it from the device again.")
        span = self.times[-1] - self.times[0]
        self.rate = (len(self.times) - 1) / span if span > 0 else 30.0
        self.turns = self._rotation()

    def __len__(self) -> int:
        return len(self.times)

    def frame(self, index: int, short_side: int | None = None) -> np.ndarray:
        """Frame `index`, uint8 (H, W, 3); shrunk to `short_side` if that is smaller.

        Frames are wanted in ascending order; a jump ahead of more than a few seconds seeks.

        Raises:
            UserError: it cannot be decoded. Later frames may still be.
        """
        with self._lock:
            try:
                picture = self._advance(index)
                height, width = picture.height, picture.width
                if short_side is not None and min(height, width) > short_side:
                    scale = short_side / min(height, width)
                    width, height = round(width * scale), round(height * scale)
                    return picture.reformat(width, height, "rgb24", interpolation="AREA").to_ndarray()
                return picture.to_ndarray(format="rgb24")
            except (av.FFmpegError, StopIteration, *BROKEN) as error:
                if isinstance(error, UserError):
                    raise
                self._close()
                raise UserError(
                    f"{self.where}, frame {index}: cannot be decoded ({str(error) or 'the video ends before it'}). "
                    "Copy it from the device again."
                ) from None

    def _advance(self, index: int) -> Any:
        stamp = int(self._stamps[index])
        if self._decoder is None or index < self._next or index > self._next + max(60, int(4 * self.rate)):
            self._close()
            self._container = self._open()
            stream = self._container.streams.video[0]
            stream.thread_type = "AUTO"
            if index:
                self._container.seek(stamp, stream=stream, backward=True)
            self._decoder = self._container.decode(stream)
        while True:
            assert self._decoder is not None
            picture = next(self._decoder)
            if picture.pts is None or picture.pts < stamp:
                continue
            if picture.pts > stamp:  # the frame itself was damaged and the decoder went on
                self._decoder = _chain(picture, self._decoder)
                raise UserError(f"{self.where}, frame {index}: is damaged. Copy it from the device again.")
            self._next = index + 1
            return picture

    def _rotation(self) -> int:
        try:
            rotation = getattr(self._advance(0), "rotation", 0) or 0  # degrees counter-clockwise
        except (av.FFmpegError, StopIteration, *BROKEN):
            rotation = 0
        self._close()
        return round(-rotation / 90) % 4

    def _open(self) -> Any:
        try:
            if not isinstance(self._source, Path):
                self._source.seek(0)
                self._borrowed = _Borrowed(self._source)
                return av.open(self._borrowed, options=self._options)
            return av.open(str(self._source), options=self._options)
        except (av.FFmpegError, *BROKEN) as error:
            raise self._damaged(error) from None

    def _close(self) -> None:
        if self._container is not None:
            self._container.close()
        if self._borrowed is not None:
            self._borrowed.file = None
        self._container, self._decoder, self._borrowed = None, None, None

    def __del__(self) -> None:
        self._close()

    def _damaged(self, error: Exception) -> UserError:
        return UserError(f"{self.where}: not a whole video ({error}). Copy it from the device again.")


class _Borrowed:
    """A stream that can be taken back: PyAV's containers refer to themselves, and keep what they read from for long."""

    def __init__(self, file: IO[bytes]):
        self.file: IO[bytes] | None = file

    def read(self, size: int) -> bytes:
        return self.file.read(size) if self.file else b""

    def seek(self, offset: int, whence: int = 0) -> int:
        return self.file.seek(offset, whence) if self.file else 0

    def tell(self) -> int:
        return self.file.tell() if self.file else 0


def _chain(first: Any, rest: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from rest
