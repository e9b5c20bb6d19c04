"""ScanNet's .sens files: an index of what is in one, read without loading it.

Source: ScanNet/ScanNet, SensReader/src/sensorData.h (version 4). Little-endian, no padding:
header (version, name, calibrations, compressions, sizes, depth shift), frames (pose, times, sizes, colour, depth), IMU.
"""

import struct
import zlib
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from tst.decoding.calibration import LARGEST_SIDE
from tst.errors import UserError

VERSION = 4
RAW, ZLIB, OCCIPITAL = 0, 1, 2  # of depth
COLOUR_RAW, COLOUR_PNG, COLOUR_JPEG = 0, 1, 2
FRAME = np.dtype([("pose", "<f4", (4, 4)), ("times", "<u8", 2), ("sizes", "<u8", 2)])
IMU = np.dtype(
    [
        *((name, "<f8", 3) for name in ("rotation", "acceleration", "magnetic", "attitude", "gravity")),
        ("time", "<u8"),
    ]
)
LARGEST_FRAME = 1 << 28


class SensFrame(NamedTuple):
    """Where a frame's values are. Times as written (by convention microseconds); `pose` is the depth camera's."""

    pose: np.ndarray
    colour_time: int
    depth_time: int
    colour: tuple[int, int]  # offset and bytes
    depth: tuple[int, int]


class Sens:
    """A .sens file.

    Attributes:
        colour_intrinsic, colour_extrinsic, depth_intrinsic, depth_extrinsic: (4, 4); an extrinsic leads from the
            camera's axes to the base's, which are usually the colour camera's.
        colour_size, depth_size: (width, height).
        depth_shift: units a metre.
        frames: those that are whole.
        missing: how many more the file claims to hold.
        imu: (M,) of IMU.
    """

    def __init__(self, path: Path):
        """Index the file.

        Raises:
            UserError: it is not a .sens file of version 4.
        """
        self.path = path
        self._size = path.stat().st_size
        with path.open("rb", buffering=1 << 13) as file:
            self._header(file)
            self._frames(file)
            self.imu = self._imu(file)

    def colour_image(self, frame: SensFrame) -> bytes | np.ndarray:
        """JPEG or PNG bytes, or uint8 (H, W, 3)."""
        data = self._read(*frame.colour)
        if self.colour_compression != COLOUR_RAW:
            return data
        width, height = self.colour_size
        if len(data) != width * height * 3:
            raise UserError(f"{self.path}: a colour image has {len(data)} bytes. Download the file again.")
        return np.frombuffer(data, np.uint8).reshape(height, width, 3)

    def depth_image(self, frame: SensFrame) -> np.ndarray:
        """uint16 (H, W), in units of `depth_shift`."""
        data = self._read(*frame.depth)
        width, height = self.depth_size
        wanted = width * height * 2
        if self.depth_compression == ZLIB:
            try:
                data = unpacked(data, wanted + 1)
            except zlib.error as error:
                raise UserError(f"{self.path}: a depth image is damaged ({error}). Download the file again.") from None
        if len(data) != wanted:
            raise UserError(f"{self.path}: a depth image is not {width}x{height} pixels. Download the file again.")
        return np.frombuffer(data, "<u2").reshape(height, width)

    def _header(self, file: IO[bytes]) -> None:
        version, name_length = self._unpack(file, "<IQ")
        if version != VERSION or name_length > 4096:
            raise UserError(f"{self.path}: is not a .sens file of version {VERSION} (it says {version}). Check it.")
        self._take(file, name_length)
        matrices = np.frombuffer(self._take(file, 4 * 64), "<f4").reshape(4, 4, 4).astype(np.float64)
        self.colour_intrinsic, self.colour_extrinsic, self.depth_intrinsic, self.depth_extrinsic = matrices
        self.colour_compression, self.depth_compression, *sizes = self._unpack(file, "<2i4I")
        self.colour_size, self.depth_size = (sizes[0], sizes[1]), (sizes[2], sizes[3])
        (self.depth_shift,) = self._unpack(file, "<f")
        if not all(0 < size <= LARGEST_SIDE for size in sizes):
            raise UserError(f"{self.path}: claims images and depth of {sizes} pixels. Download it again.")
        if self.colour_compression not in (COLOUR_RAW, COLOUR_PNG, COLOUR_JPEG):
            raise UserError(
                f"{self.path}: colour is of an unknown kind ({self.colour_compression}). Download it again."
            )
        if self.depth_compression not in (RAW, ZLIB):
            what = "Occipital's codec" if self.depth_compression == OCCIPITAL else f"kind {self.depth_compression}"
            raise UserError(f"{self.path}: depth is compressed by {what}, which is not read. Write it with zlib.")
        if not 1e-3 < self.depth_shift < 1e6:
            raise UserError(f"{self.path}: depth has {self.depth_shift:g} units a metre. Download it again.")

    def _frames(self, file: IO[bytes]) -> None:
        (claimed,) = self._unpack(file, "<Q")
        self.frames: list[SensFrame] = []
        at = file.tell()
        while len(self.frames) < claimed and at + FRAME.itemsize <= self._size:
            head = np.frombuffer(self._take(file, FRAME.itemsize), FRAME)[0]
            colour, depth = int(head["sizes"][0]), int(head["sizes"][1])
            start = at + FRAME.itemsize
            if max(colour, depth) > LARGEST_FRAME or start + colour + depth > self._size:
                break
            pose, times = head["pose"].astype(np.float64), head["times"]
            places = ((start, colour), (start + colour, depth))
            self.frames.append(SensFrame(pose, int(times[0]), int(times[1]), *places))
            at = start + colour + depth
            file.seek(at)
        self.missing = int(claimed) - len(self.frames)
        if self.missing > len(self.frames):
            raise UserError(
                f"{self.path}: holds {len(self.frames)} whole frames of the {claimed} it claims. Download it again."
            )

    def _imu(self, file: IO[bytes]) -> np.ndarray:
        """Rows of IMU; none where the frames are cut off or it is not there."""
        if self.missing or file.tell() + 8 > self._size:
            return np.empty(0, IMU)
        (count,) = self._unpack(file, "<Q")
        count = min(count, (self._size - file.tell()) // IMU.itemsize)
        return np.frombuffer(self._take(file, count * IMU.itemsize), IMU)

    def _unpack(self, file: IO[bytes], layout: str) -> tuple:
        return struct.unpack(layout, self._take(file, struct.calcsize(layout)))

    def _take(self, file: IO[bytes], size: int) -> bytes:
        data = file.read(size)
        if len(data) < size:
            raise UserError(f"{self.path}: is cut off after {self._size} bytes. Download it again.")
        return data

    def _read(self, offset: int, size: int) -> bytes:
        try:
            with open(self.path, "rb", buffering=0) as file:  # noqa: PTH123 (two a frame: be quick)
                file.seek(offset)
                return self._take(file, size)
        except OSError as error:
            raise UserError(f"{self.path}: cannot be read ({error.strerror}). Check the disk.") from None


def unpacked(data: bytes, largest: int) -> bytes:
    """What zlib's `data` unpacks to, up to `largest` bytes. Raises zlib.error if it is damaged."""
    return zlib.decompressobj().decompress(data, largest)
