"""Writers of capture formats, one file each, independent of the readers: `NAME.py` for the format NAME.

A writer has

- `write(folder, scene) -> Path`: writes a capture of `scene` (scene.py) under the new folder, and gives what
  `tst read NAME` is pointed at. Small (images about 96x72) and quick.
- `DAMAGE`: {what: (function that damages a written capture, given that path; what must come of it)}. What must come of
  it is a regular expression of the one-line error, or `Dropped(n, regular expression of the reason)`: the rest is read.
- `FAULTS` (optional): the faults of `scene.FAULTS` that the format can have; all by default. () for colour alone.
- `OPTIONS` (optional): further arguments of `tst.readers.read`.
"""

import importlib
import pkgutil
from types import ModuleType
from typing import NamedTuple


class Dropped(NamedTuple):
    """`number` frames are left out and listed with a reason that matches."""

    number: int
    reason: str


WRITERS: dict[str, ModuleType] = {
    module.name: importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)
}
