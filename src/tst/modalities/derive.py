"""`tst derive`: compute modalities from others, for every frame of a Space."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from tst.errors import UserError
from tst.files import timestamp
from tst.modalities import MODALITIES
from tst.progress import track
from tst.space.space import Space, Walk

WORKERS = os.cpu_count() or 1


def derive(space: Space, modalities: Sequence[str] | None = None) -> Space:
    """Derive modalities of every frame that lacks them, and return the Space opened anew.

    Files that are there are kept, so a stopped run goes on, and a modality that came with a walk is never replaced.

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
                raise UserError(
                    f"{space.path}: {name} is derived from {', '.join(sorted(lacking))}, which some walk lacks. "
                    "Read it with the capture."
                )
    for name in wanted:
        modality = MODALITIES[name]
        walks = [walk for walk in space.walks.values() if name not in walk.record.modalities]
        missing = {walk.name: set(walk.missing(name)) for walk in walks}
        todo = [(walk, index) for walk in walks for index, id_ in enumerate(walk.ids) if id_ in missing[walk.name]]
        recorded = space.file.provenance.get(name, {}).get("version", modality.version)
        if recorded != modality.version and len(todo) < sum(map(len, walks)):
            folders = ", ".join(str(walk.folder(name)) for walk in walks)
            raise UserError(
                f"{space.path}: its {name} are of version {recorded} and this tst derives version {modality.version}. "
                f"Remove {folders} and derive again."
            )
        if not todo:
            continue
        # Before the first file, so that a stopped derivation is never taken up by another version.
        made = {"from": list(modality.sources), "version": modality.version, "date": timestamp()}
        space.record_derived({name: made})
        with ThreadPoolExecutor(WORKERS) as pool:  # NumPy and OpenCV release the interpreter's lock
            jobs = [pool.submit(_derive_one, name, walk, index) for walk, index in todo]
            try:
                for job in track(jobs, f"deriving {name} of {space.name}"):
                    job.result()
            finally:
                for job in jobs:
                    job.cancel()
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
