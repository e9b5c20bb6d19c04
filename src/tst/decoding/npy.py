"""NumPy's .npy from bytes that may be anything."""

import io
import math
from tokenize import TokenError

import numpy as np
from numpy.lib import format as npy_format

from tst.errors import UserError


def array(data: bytes, where: str) -> np.ndarray:
    """The array of a .npy file; its size is checked before anything is allocated, and objects are never unpickled.

    Raises:
        UserError: it is not one, or is cut off.
    """
    stream = io.BytesIO(data)
    try:
        version = npy_format.read_magic(stream)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"version {version}")
        header = npy_format.read_array_header_1_0 if version == (1, 0) else npy_format.read_array_header_2_0
        shape, fortran, dtype = header(stream)
        if dtype.kind not in "uif" or dtype.itemsize * math.prod(shape) != len(data) - stream.tell():
            raise ValueError(f"{shape} of {dtype} in {len(data)} bytes")
        values = np.frombuffer(data, dtype, offset=stream.tell())
    except (ValueError, TypeError, SyntaxError, TokenError, RecursionError, MemoryError, OverflowError) as error:
        raise UserError(
            f"{where}: not a whole array ({' '.join(str(error).split())[:80]}). Copy it from the device again."
        ) from None
    return values.reshape(shape, order="F" if fortran else "C")
