"""`tst derive`: compute modalities from others, for every frame of a Space."""

import datetime
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from tst.errors import UserError
from tst.modalities import MODALITIES
from tst.progress import track
from tst.space.space import Space, Walk

WORKERS = os.cpu_count() or 1


def derive(space: Space, modalities: Sequence[str] | None = None) -> Space:
    """Derive modalities of every frame that lacks them, and return the Space opened anew.

    Files that are there are kept, so a stopped run goes on and a recorded modality is never replaced.

    Args:
        modalities: names; None: all that the Space has the sources for.

    Raises:
        UserError: a modality cannot be derived, its sources are missing, or a frame is damaged.
    """
    have = set(space.modalities())
    derivable = [name for name, item in MODALITIES.items() if item.sources]
    if modalities is None:
        wanted = [name for name in derivable if set(MODALITIES[name].sources) <= have and _possible(space, name)]
    else:
        wanted = list(modalities)
        for name in wanted:
            if name not in derivable:
                raise UserError(f"{name}: cannot be derived. Choose among {', '.join(derivable)}.")
            if lacking := set(MODALITIES[name].sources) - have:
                raise UserError(f"{space.path}: {name} is derived from {', '.join(lacking)}, which this space lacks.")
    for name in wanted:
        todo = [
            (walk, index)
            for walk in space.walks.values()
            for missing in [set(walk.missing(name))]
            for index in range(len(walk))
            if walk.ids[index] in missing
        ]
        if not todo:
            continue
        with ThreadPoolExecutor(WORKERS) as pool:  # NumPy and OpenCV release the interpreter's lock
            jobs = [pool.submit(_derive_one, name, walk, index) for walk, index in todo]
            try:
                for job in track(jobs, f"deriving {name} of {space.name}"):
                    job.result()
            finally:
                for job in jobs:
                    job.cancel()
        when = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        facts = {"from": list(MODALITIES[name].sources), "version": MODALITIES[name].version, "date": when}
        space.record_derived({name: facts})
    return Space.open(space.path)


def _possible(space: Space, name: str) -> bool:
    """Whether the frames have the camera that a derivation from depth needs."""
    if "depth" not in MODALITIES[name].sources:
        return True
    return all(walk.camera(index) is not None for walk, index in space.frames())


def _derive_one(name: str, walk: Walk, index: int) -> None:
    modality = MODALITIES[name]
    sources = {source: walk.read(source, index) for source in modality.sources}
    array = modality.derive(sources, walk.camera(index))
    modality.save(walk.folder(name) / f"{walk.ids[index]}{modality.extension}", array)
