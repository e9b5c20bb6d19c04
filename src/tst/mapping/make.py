"""`tst map`: a Space's map as a file, and where it is weak."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tst.errors import UserError
from tst.mapping.picture import draw
from tst.mapping.ply import write_ply
from tst.mapping.predictions import CopiesConfig, Model, check_classes
from tst.mapping.rerun_file import write_rerun
from tst.mapping.score import score
from tst.mapping.space_map import appearance, build, fuse
from tst.mapping.views import MapConfig, Views
from tst.mapping.weakness import WeakPlace, weakness
from tst.space.space import Space

SUFFIXES = (".ply", ".rrd")


@dataclass(frozen=True)
class Made:
    """What `make_map` wrote.

    Attributes:
        files: the map, and with a model the plan.
        cells: how many the map has.
        frames: how many are on it.
        notes: what was left out, and why.
        scores: without labels (`tst.mapping.score`), if there was a model.
        places: where to walk next, if there was a model.
    """

    files: list[Path]
    cells: int
    frames: int
    notes: list[str]
    scores: dict[str, Any] | None = None
    places: list[WeakPlace] = field(default_factory=list)


def make_map(
    space: Space,
    out: Path,
    model: Path | None = None,
    config: MapConfig = MapConfig(),
    copies: CopiesConfig = CopiesConfig(),
) -> Made:
    """Map a Space; with a model also its fused classes, and a plan of where it is weak (OUT with .png instead).

    Args:
        space: walks with depth and poses in one world; the others are left out.
        out: a new file, .ply or .rrd.
        model: run folder of a transfer.
        config: of the map.
        copies: of each frame that the model looks at.

    Raises:
        UserError: a file exists or is named otherwise, no walk can be mapped, or the model does not fit.
    """
    out = Path(out)
    if out.suffix.lower() not in SUFFIXES:
        raise UserError(f"{out}: a map is a .ply (points) or a .rrd (for Rerun). Choose such a name with --out.")
    picture = out.with_suffix(".png")
    for file in (out, picture) if model else (out,):
        if file.exists():
            raise UserError(f"{file}: exists. Choose another name with --out, or remove it.")
    views = Views(space, config)
    for note in views.notes:
        print(note, file=sys.stderr)
    probabilities = Model(model, space, copies) if model else None
    if probabilities:
        check_classes(probabilities)
    space_map = build(views)
    look = appearance(space_map)
    sums = fuse(space_map, probabilities) if probabilities else None
    classes = probabilities.classes if probabilities else []
    if out.suffix.lower() == ".ply":
        write_ply(out, look, sums, classes)
    else:
        write_rerun(out, space_map, look, sums, classes)
    if sums is None:
        return Made([out], len(space_map.cells), len(views), views.notes)
    plans = weakness(space_map, look, sums)
    draw(plans, space.name, picture)
    places = sorted((place for plan in plans for place in plan.places), key=lambda place: place.mark)
    scores = score(sums.votes_VC) if (sums.views_V >= 2).any() else None
    return Made([out, picture], len(space_map.cells), len(views), views.notes, scores, places)
