"""How sure the depth sensor is of each pixel."""

import numpy as np

from tst.modalities.instance import Instance


class Confidence(Instance):
    """Confidence of the depth: uint8, 255 = full, 0 = none. Kept to look at; nothing is trained on it.

    Depth that is less sure than the reader was told to keep is unknown in the stored depth already.
    """

    name = "confidence"
    order = 70
    dtype = np.dtype(np.uint8)

    def draw(self, array: np.ndarray) -> np.ndarray:
        """Grey, white is sure."""
        return np.repeat(array[..., None], 3, -1)
