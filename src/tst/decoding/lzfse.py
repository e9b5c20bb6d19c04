"""Apple's LZFSE compression, through Apple's reference decoder with a bound on what comes out."""

import ctypes

import lzfse
import numpy as np

from tst.errors import UserError

_decode = ctypes.CDLL(lzfse.__file__).lzfse_decode_buffer
_decode.restype = ctypes.c_size_t
_decode.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_void_p]


def unpacked(data: bytes, size: int, where: str) -> np.ndarray:
    """The `size` bytes that `data` unpacks to, uint8 (size,); safe from several threads.

    The package's own `decompress` grows its memory until everything fits, which a made-up file abuses; the C function
    inside it writes into a buffer of a given size.

    Raises:
        UserError: it is damaged, or unpacks to another size.
    """
    result = np.empty(size + 1, np.uint8)  # one more, to see what is too long
    length = _decode(result.ctypes.data, size + 1, data, len(data), None)
    if length != size:
        found = "damaged LZFSE data" if length == 0 else f"{'more' if length > size else length} bytes"
        raise UserError(f"{where}: {found}, not {size} bytes. Export the recording again.")
    return result[:size]
