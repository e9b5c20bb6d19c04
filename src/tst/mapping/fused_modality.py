"""`tst fuse`: what a labeller said of each frame, averaged in 3D over all frames that saw the same place.

A modality of its own beside the labeller's: as a target of pre-training it asks of one image what many agree on.

Shape suffixes: H height and W width of a view's depth, h and w of the stored arrays, C channels, P pixels.
"""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from pydantic import PositiveInt

from tst.config import Config
from tst.errors import UserError
from tst.files import digest, timestamp
from tst.mapping.averages import Averages
from tst.mapping.look_up import Found, look_up
from tst.mapping.space_map import SpaceMap, build
from tst.mapping.views import MapConfig, View, Views
from tst.modalities import MODALITIES
from tst.modalities.features import FeatureMap
from tst.progress import track
from tst.space.folders import made_and_locked
from tst.space.space import Space

FUSED = {modality.fuses: name for name, modality in MODALITIES.items() if modality.fuses}
"""The modality that holds the averages of each one that can be fused."""


class FuseModalityConfig(Config):
    """How a modality is fused."""

    map: MapConfig = MapConfig(short_side=112)
    """The map. Features are coarser than this, and their time grows with the pixels."""
    least_views: PositiveInt = 2
    """Frames that must have seen a place; elsewhere a frame keeps what it had."""


def fuse_modality(
    space: Space, source: str, config: FuseModalityConfig = FuseModalityConfig(), *, again: bool = False
) -> str:
    """Write the fused modality of `source` for every frame of a Space; returns its name.

    What no other frame has seen keeps its own value: beyond the map, in frames without pose, and in a Space of single
    images (no poses at all), where each image is its only view. So the modality is there for every frame, and can be
    learnt from a walk and from a labelled set of photographs together.

    Files that are there are kept, so a stopped run goes on (the map is made anew).

    Args:
        source: a modality that `tst label` wrote, one of FUSED.
        again: remove what was fused otherwise, and fuse anew.

    Raises:
        UserError: `source` cannot be fused or is not there, the walks cannot be mapped, or files that were fused from
            other values or with other settings are there.
    """
    if source not in FUSED:
        raise UserError(f"{source}: cannot be fused. Choose among {', '.join(FUSED)}.")
    if source not in space.modalities():
        raise UserError(f"{space.path}: has no {source}. Run `tst label {space.path} --with {source}=PATH` first.")
    name = FUSED[source]
    walks = list(space.walks.values())
    with made_and_locked(walk.folder(name) for walk in walks):
        posed = any(walk.frames["pose"].null_count < len(walk) for walk in walks)
        views = Views(space, config.map) if posed else None
        made = _entry(space, source, views, config)
        recorded = {key: space.file.provenance.get(name, {}).get(key) for key in made}
        if recorded != made and any(len(walk.missing(name)) < len(walk) for walk in walks):
            if not again:
                raise UserError(
                    f"{space.path}: its {name} was fused from other values or with other settings. "
                    "Give --again to fuse anew."
                )
            for walk in walks:
                for path in walk.folder(name).glob(f"*{MODALITIES[name].extension}"):
                    path.unlink()
        missing = {walk.name: set(walk.missing(name)) for walk in walks}
        if any(missing.values()):
            space.record_derived({name: {**made, "date": timestamp()}})
            _write(space, source, views, missing, config)
    return name


def _entry(space: Space, source: str, views: Views | None, config: FuseModalityConfig) -> dict[str, Any]:
    """What is recorded: the labeller's licence and classes go on, and all that decides the values."""
    labelled = space.file.provenance.get(source, {})
    kept = {key: labelled[key] for key in ("labeller", "licence", "non_commercial", "classes") if key in labelled}
    geometry = digest(views.cached.key, views.poses.round(6).tolist()) if views else None
    values = digest(*({k: v for k, v in labelled.items() if k != "date"}, [walk.ids for walk in space.walks.values()]))
    return {
        "from": [source, *(["depth"] if views else [])],
        **kept,
        "values": values,
        "geometry": geometry,
        "settings": config.model_dump(mode="json"),
        "version": MODALITIES[source].version,
    }


def _write(
    space: Space, source: str, views: Views | None, missing: dict[str, set[str]], config: FuseModalityConfig
) -> None:
    modality, rows = MODALITIES[FUSED[source]], space.frames()
    wanted = {n for n, (walk, row) in enumerate(rows) if walk.ids[row] in missing[walk.name]}

    def own(frame: int) -> np.ndarray:
        walk, row = rows[frame]
        return walk.read(source, row)

    def save(frame: int, value: np.ndarray) -> None:
        walk, row = rows[frame]
        modality.save(walk.folder(modality.name) / f"{walk.ids[row]}{modality.extension}", value)

    on_map = set(views.frames.tolist()) if views else set()
    for frame in track(sorted(wanted - on_map), f"{modality.name} beyond the map"):
        save(frame, own(frame))
    if views is None or not wanted & on_map:
        return
    vectors, stored = _conversions(space, source)
    space_map = build(views)
    sums = _averaged(space_map, lambda frame: vectors(own(frame)))
    for _, view in views.each(f"writing {modality.name} of {space.name}"):
        if view.frame in wanted:
            found = look_up(space_map.cells, sums, view.points_HW3.reshape(-1, 3), view.known_HW.ravel())
            save(view.frame, stored(found, view, own(view.frame), config.least_views))


def _averaged(space_map: SpaceMap, vectors: Callable[[int], np.ndarray]) -> Averages:
    views = space_map.views
    sums: Averages | None = None
    for _, view in views.each(f"fusing views of {views.space.name}"):
        values_hwC = vectors(view.frame)
        sums = sums or Averages.empty(len(space_map.cells), values_hwC.shape[2])
        sums.add(space_map.rows(view), view.weights_HW, values_hwC)
    assert sums is not None
    return sums


Stored = Callable[[Found, View, np.ndarray, int], np.ndarray]


def _conversions(space: Space, source: str) -> tuple[Callable[[np.ndarray], np.ndarray], Stored]:
    """How stored arrays become vectors (h, w, C) that can be averaged, and what was found becomes an array."""
    modality = MODALITIES[source]
    if isinstance(modality, FeatureMap):
        features = modality

        def packed(found: Found, view: View, own_hwC: np.ndarray, least: int) -> np.ndarray:
            values_PC = np.where(found.views_P[:, None] >= least, found.values_PC, 0)
            full_HWC = features.pack(values_PC.reshape(*view.known_HW.shape, -1))
            fused_hwC = features.resize(full_HWC, *own_hwC.shape[:2])
            return np.where(features.valid_array(fused_hwC)[..., None], fused_hwC, own_hwC)

        return features.unpack, packed
    classes = space.file.provenance.get(source, {}).get("classes")  # none where the capture brought its own masks
    count = len(classes) if classes else modality.unknown
    one_hot = np.eye(256, count, dtype=np.float32)  # what is unknown votes for nothing

    def voted(found: Found, view: View, own_hw: np.ndarray, least: int) -> np.ndarray:
        sure = (found.views_P >= least) & (found.values_PC.max(1) > 0)
        fused_HW = np.where(sure, found.values_PC.argmax(1), modality.unknown).astype(np.uint8)
        fused_hw = cv2.resize(
            fused_HW.reshape(view.known_HW.shape), own_hw.shape[::-1], interpolation=cv2.INTER_NEAREST_EXACT
        )
        return np.where(fused_hw == modality.unknown, own_hw, fused_hw)

    return lambda array: one_hot[array], voted
