"""What `tst check` finds, as data."""

from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal

from tst.inspection.agreement import Agreement
from tst.inspection.clock import Clock
from tst.inspection.coverage import FloorMap
from tst.inspection.depth import DepthHoles
from tst.inspection.gaps import Gap
from tst.inspection.loops import Loops
from tst.inspection.motion import Motion
from tst.inspection.pictures import Pictures

Verdict = Literal["good", "usable", "record again", "read again"]
"""`read again`: the recording may be fine, but its units or axes were misread."""
Level = Literal["good", "note", "poor", "bad"]


@dataclass(frozen=True)
class Finding:
    """One judgement.

    Attributes:
        measure: what was judged: "blur", "coverage", ...
        level: "poor" makes a recording usable at best, "bad" makes it one to record again; "note" changes nothing.
        text: in words, with the number.
        advice: what to do, or None.
    """

    measure: str
    level: Level
    text: str
    advice: str | None = None


@dataclass(frozen=True)
class Place:
    """A gap of the map, in words.

    Attributes:
        mark: its number on the picture.
        kind: "floor", "wall" or "opening".
        size: square metres of floor, metres of the others.
        where: such as "the north-east corner of the upper floor".
        frame: id of the frame taken nearest to it.
        distance: of that camera, metres.
        advice: what to do there.
        gap: the gap itself.
    """

    mark: int
    kind: str
    size: float
    where: str
    frame: str
    distance: float
    advice: str
    gap: Gap = field(repr=False)


@dataclass(frozen=True)
class Floor:
    """One storey of a walk.

    Attributes:
        name: empty if there is only one.
        area: square metres of ground known to exist.
        floor_area: of these, seen as bare floor.
        covered: share of the area that at least `coverage.VIEWS` views saw.
        directions: share of the area that was seen from at least `coverage.DIRECTIONS` sides.
        views: median number of views of a place.
        walls: metres of wall.
        openings: metres of border with neither wall nor anything known behind.
        camera_height: metres above the floor; None if the floor was not seen.
        parts: names of the parts (rooms) recorded here, and where: metres east and south of the map's corner.
        places: the gaps.
        plan: the map.
    """

    name: str
    area: float
    floor_area: float
    covered: float
    directions: float
    views: float
    walls: float
    openings: float
    camera_height: float | None
    parts: dict[str, tuple[float, float]]
    places: list[Place]
    plan: FloorMap = field(repr=False)


@dataclass(frozen=True)
class WalkReport:
    """One walk: what was measured (None where it could not be), judged, and what could not be checked.

    `left_out`: frames that `tst read` would have kept if they had been better, by reason.
    """

    name: str
    verdict: Verdict
    frames: int
    continuous: bool
    left_out: dict[str, int]
    pictures: Pictures
    depth: DepthHoles | None
    clock: Clock | None
    motion: Motion | None
    agreement: Agreement | None
    loops: Loops | None
    floors: list[Floor]
    findings: list[Finding]
    unchecked: list[str]

    @property
    def places(self) -> list[Place]:
        """The gaps of all storeys, in order of their marks."""
        return sorted((place for floor in self.floors for place in floor.places), key=lambda place: place.mark)


@dataclass(frozen=True)
class Report:
    """The whole Space. `reasons` and `advice` are in order of importance; `unchecked`: what could not be checked."""

    name: str
    verdict: Verdict
    reasons: list[str]
    advice: list[str]
    unchecked: list[str]
    walks: list[WalkReport]
    path: Path = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """For JSON: everything but the arrays, which only pictures need."""
        return _plain(self)


def _plain(value: Any) -> Any:
    """Dataclasses as dicts without the fields that are not shown (`repr=False`); numbers to four digits."""
    if is_dataclass(value):
        return {item.name: _plain(getattr(value, item.name)) for item in fields(value) if item.repr}
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value
