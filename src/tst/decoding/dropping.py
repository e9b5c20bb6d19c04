"""When so many frames must be left out that the capture itself is at fault."""

from collections.abc import Sequence

from tst.errors import UserError
from tst.readers.base import Dropped


def refuse_if_most(dropped: Sequence[Dropped], total: int, where: str) -> None:
    """Let a reader leave out up to half of the frames.

    Raises:
        UserError: more than half of `total` are in `dropped`, or there are none at all; names the first.
    """
    if total == 0:
        raise UserError(f"{where}: holds no frames. Record or export it again.")
    if 2 * len(dropped) > total:
        first = dropped[0]
        raise UserError(
            f"{where}: {len(dropped)} of {total} frames are unusable (first: frame {first.id}: {first.reason}). "
            "Copy the whole capture from the device again, or record it again."
        )
