"""ROS 2 messages: their headers, and what is in images. Everything else in them is decoded by the rosbags library.

Encodings: sensor_msgs/image_encodings.hpp; compressed depth: codec.cpp of compressed_depth_image_transport.
"""

import functools
import math
import struct
from typing import Any, NamedTuple

import cv2
import numpy as np
from rosbags.serde import SerdeError
from rosbags.typesys import Stores, get_typestore
from rosbags.typesys.store import Typestore

from tst.errors import UserError
from tst.space import images

IMAGE, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
COLOUR: dict[str, tuple[int, int | None]] = {
    "rgb8": (3, None),
    "bgr8": (3, cv2.COLOR_BGR2RGB),
    "rgba8": (4, cv2.COLOR_RGBA2RGB),
    "bgra8": (4, cv2.COLOR_BGRA2RGB),
    "8UC3": (3, cv2.COLOR_BGR2RGB),
    "8UC4": (4, cv2.COLOR_BGRA2RGB),
    "bayer_rggb8": (1, cv2.COLOR_BayerRGGB2RGB),
    "bayer_bggr8": (1, cv2.COLOR_BayerBGGR2RGB),
    "bayer_gbrg8": (1, cv2.COLOR_BayerGBRG2RGB),
    "bayer_grbg8": (1, cv2.COLOR_BayerGRBG2RGB),
    "yuv422": (2, cv2.COLOR_YUV2RGB_UYVY),
    "yuv422_yuy2": (2, cv2.COLOR_YUV2RGB_YUY2),
}
"""Encodings of colour images: bytes a pixel, and how OpenCV makes RGB of them (None: it is)."""
GREY = ("mono8", "8UC1")
DEPTH: dict[str, np.dtype] = {
    "16UC1": np.dtype(np.uint16),
    "mono16": np.dtype(np.uint16),
    "32FC1": np.dtype(np.float32),
}
"""Encodings of depth: millimetres, or metres (REP 118)."""
HEAD = 512
"""Bytes of an image message that hold its header and encoding."""
LARGEST_SIDE = 16384
INVERSE_DEPTH_HEADER = 12


class Header(NamedTuple):
    """When something was measured, in seconds, and in which coordinate frame."""

    time: float
    frame: str


class ImageHead(NamedTuple):
    """The beginning of an Image or a CompressedImage; `encoding` is the format of the latter."""

    header: Header
    encoding: str

    def is_depth(self) -> bool:
        """Whether it is a depth image."""
        return self.encoding.split(";")[0].strip() in DEPTH or "compressedDepth" in self.encoding

    def is_colour(self) -> bool:
        """Whether it is a colour image, or cannot be told from one (a JPEG of a grey one)."""
        first = self.encoding.split(";")[0].strip()
        return not self.is_depth() and (first in COLOUR or first.lower() in ("", "jpg", "jpeg", "png"))


class _Cdr:
    """Reads fields of a CDR message one after another. Raises struct.error or ValueError past its end."""

    def __init__(self, data: bytes):
        if len(data) < 4 or data[0] != 0 or data[1] > 1:
            raise ValueError("is not CDR")
        self._order = "<" if data[1] else ">"
        self._data, self._at = data[4:], 0

    def number(self, code: str) -> int:
        size = struct.calcsize(code)
        self._at = -(-self._at // size) * size  # fields are aligned to their size
        (value,) = struct.unpack_from(self._order + code, self._data, self._at)
        self._at += size
        return value

    def text(self) -> str:
        length = self.number("I")
        value = self._data[self._at : self._at + length]
        if len(value) < length or length == 0:
            raise ValueError("has a text that is cut off")
        self._at += length
        text = value[:-1].decode()
        if not text.isprintable():
            raise ValueError("has a text that is damaged")
        return text


def image_head(data: bytes, type_: str) -> ImageHead:
    """The head of an image message, from its first bytes.

    Raises:
        ValueError, struct.error: it is damaged.
    """
    fields = _Cdr(data)
    seconds, nanoseconds = fields.number("i"), fields.number("I")
    header = Header(seconds + nanoseconds * 1e-9, fields.text().strip("/"))
    if type_ == IMAGE:
        fields.number("I"), fields.number("I")
    return ImageHead(header, fields.text())


@functools.cache
def _types() -> Typestore:
    # The layouts of what is read here have been the same since ROS 2 Foxy; those in a bag are code made from a file.
    return get_typestore(Stores.ROS2_HUMBLE)


def decoded(data: bytes, type_: str) -> Any:
    """A message as an object with the fields of its definition.

    Raises:
        ValueError: it is damaged.
    """
    try:
        return _types().deserialize_cdr(data, type_)
    except (SerdeError, struct.error, IndexError, OverflowError) as error:
        raise ValueError(f"is damaged ({error})") from None


def header(message: Any) -> Header:
    """The header of a decoded message."""
    stamp = message.header.stamp
    return Header(stamp.sec + stamp.nanosec * 1e-9, message.header.frame_id.strip("/"))


def rgb(data: bytes, type_: str, where: str) -> np.ndarray | bytes:
    """The colour image of a message: uint8 (H, W, 3), or the bytes of its JPEG or PNG file.

    Raises:
        UserError: it is damaged, or of an encoding that is not read.
    """
    message = _message(data, type_, where)
    if type_ == COMPRESSED:
        file = message.data.tobytes()
        if not file.startswith((b"\xff\xd8", b"\x89PNG")):
            raise UserError(f"{where}: {message.format!r} holds no JPEG or PNG. Record the raw images instead.")
        return file
    if message.encoding in GREY:
        return np.repeat(_pixels(message, np.dtype(np.uint8), 1, where), 3, axis=2)
    if message.encoding not in COLOUR:
        raise UserError(f"{where}: {message.encoding!r} is no 8-bit colour. Record one of {', '.join(COLOUR)}.")
    channels, code = COLOUR[message.encoding]
    pixels = _pixels(message, np.dtype(np.uint8), channels, where)
    if code is None:
        return pixels
    try:
        return cv2.cvtColor(pixels, code)
    except cv2.error:
        raise UserError(f"{where}: {message.width}x{message.height} pixels are no {message.encoding}.") from None


def depth(data: bytes, type_: str, where: str) -> np.ndarray | bytes:
    """The depth image of a message: millimetres along z, (H, W) uint16 or float32, 0 = unknown; or a PNG of them.

    Raises:
        UserError: it is damaged, or of an encoding that is not read.
    """
    message = _message(data, type_, where)
    if type_ == IMAGE:
        if message.encoding not in DEPTH:
            raise UserError(f"{where}: {message.encoding!r} is no depth. Record one of {', '.join(DEPTH)}.")
        pixels = _pixels(message, DEPTH[message.encoding], 1, where)[..., 0]
        return pixels if pixels.dtype == np.uint16 else _millimetres(pixels)
    file = message.data.tobytes()
    parameters: tuple[float, float] | None = None
    if "compressedDepth" in message.format:
        if len(file) > INVERSE_DEPTH_HEADER and message.format.startswith("32FC1"):
            parameters = struct.unpack_from("<ff", file, 4)
        file = file[INVERSE_DEPTH_HEADER:]
    if not file.startswith(b"\x89PNG"):
        remedy = "Republish it with compressedDepth as PNG" if "rvl" in message.format else "Copy the bag again"
        raise UserError(f"{where}: {message.format!r} holds no PNG. {remedy}.")
    if parameters is None:
        return file
    # Metres are a / (stored - b); stored 0 is unknown.
    stored, _, _ = images.decode(file, where)
    if stored.ndim != 2 or not all(map(math.isfinite, parameters)):
        raise UserError(f"{where}: its PNG or its quantisation is damaged. Copy the bag again.")
    a, b = parameters
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        metres = np.float32(a) / (stored.astype(np.float32) - np.float32(b))
    return _millimetres(np.where(stored > 0, metres, 0))


def _millimetres(metres: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore"):
        millimetres = metres * np.float32(1000)
    return np.where(np.isfinite(millimetres) & (millimetres > 0), millimetres, np.float32(0))


def _message(data: bytes, type_: str, where: str) -> Any:
    try:
        return decoded(data, type_)
    except ValueError as error:
        raise UserError(f"{where}: {error}. Copy the bag again.") from None


def _pixels(message: Any, dtype: np.dtype, channels: int, where: str) -> np.ndarray:
    """(H, W, channels) of an Image, whose rows may be padded."""
    height, width, step = message.height, message.width, message.step
    row = width * channels * dtype.itemsize
    if not (0 < width <= LARGEST_SIDE and 0 < height <= LARGEST_SIDE and row <= step):
        raise UserError(f"{where}: claims {width}x{height} pixels in rows of {step} bytes. Copy the bag again.")
    if len(message.data) < step * height:
        raise UserError(f"{where}: has {len(message.data)} bytes, not {step * height}. Copy the bag again.")
    order = dtype.newbyteorder(">" if message.is_bigendian else "<")
    rows = message.data[: step * height].reshape(height, step)[:, :row]
    return np.ascontiguousarray(rows).view(order).astype(dtype).reshape(height, width, channels)
