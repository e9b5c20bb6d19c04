"""Is a recording good enough, and what should be recorded next? `tst check`."""

import re
from collections import Counter
from dataclasses import replace

import numpy as np
from scipy import ndimage

from tst.errors import UserError
from tst.inspection.agreement import agreement
from tst.inspection.clock import clock
from tst.inspection.coverage import DIRECTIONS, FLOOR, VIEWS, WALL, FloorMap, coverage
from tst.inspection.depth import depth_holes
from tst.inspection.gaps import gaps
from tst.inspection.loops import loops
from tst.inspection.motion import motion
from tst.inspection.pictures import pictures
from tst.inspection.places import describe
from tst.inspection.report import Floor, Report, Verdict, WalkReport
from tst.inspection.trajectory import Trajectory, trajectory
from tst.inspection.verdict import LEVELS, judge, verdict
from tst.space.space import Space, Walk

MAP_VIEWS = 2000
"""Views of the whole Space that are mapped: a view every 0.15 m of 300 m of way."""
PICTURES, DEPTHS = 400, 200
"""Frames of the whole Space that are decoded for blur and exposure, and for holes of the depth: a share of 10 % is then
known to 3 % and 4 %."""
LEAST_OF_A_WALK = 12
"""Of each, in Spaces of very many walks."""
MARKS = 9
"""Gaps of a walk that are told and numbered: more than anyone goes back for."""
TOLD, LEAST_PLACES = 8, 3
"""Pieces of advice in all, and gaps among them, at least."""
SPARE = ("close to", "shows the same", "one frame in so many")
"""Beginnings of the reasons for which `tst read` leaves out frames that nothing is wrong with."""
SEVERITY: tuple[Verdict, ...] = ("good", "usable", "record again", "read again")


def check(space: Space) -> Report:
    """Measure and judge every walk of a Space.

    Frames are sampled where they must be decoded, so that memory is bounded and half an hour takes a minute or two.

    Raises:
        UserError: the Space has no frames, or a file is damaged.
    """
    if len(space) == 0:
        raise UserError(f"{space.path}: has no frames. Read a capture into it.")
    walks = [_walk(walk, len(walk) / len(space)) for walk in space.walks.values() if len(walk)]
    several = len(walks) > 1

    def named(walk: WalkReport, text: str) -> str:
        return f"{walk.name}: {text}" if several else text

    findings = [(walk, finding) for walk in walks for finding in walk.findings]
    findings.sort(key=lambda item: LEVELS.index(item[1].level))  # stable: within a level as the walks have them
    advice = [named(w, _sentence(f.advice)) for w, f in findings if f.advice and f.level in ("bad", "poor")]
    places = sorted(((w, place) for w in walks for place in w.places), key=lambda item: -item[1].gap.weight)
    advice += [named(walk, _sentence(place.advice)) for walk, place in places][: max(TOLD - len(advice), LEAST_PLACES)]
    advice += [_sentence(f.advice) for _, f in findings if f.advice and f.level == "note"]
    return Report(
        name=space.name,
        verdict=_overall(walks),
        reasons=[named(w, f.text) for w, f in findings if f.level in ("bad", "poor")],
        advice=list(dict.fromkeys(advice)),
        unchecked=list(dict.fromkeys(named(walk, text) for walk in walks for text in walk.unchecked)),
        walks=walks,
        path=space.path,
    )


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def _overall(walks: list[WalkReport]) -> Verdict:
    """The worst walk's, but a lesser part of the frames cannot make it worse than usable."""
    worst = max((walk.verdict for walk in walks), key=SEVERITY.index)
    if SEVERITY.index(worst) > 1:
        lost = sum(walk.frames for walk in walks if SEVERITY.index(walk.verdict) > 1)
        if lost * 2 < sum(walk.frames for walk in walks):
            return "usable"
    return worst


def _walk(walk: Walk, part: float) -> WalkReport:
    """Check one walk with its `part` of the samples."""

    def budget(limit: int) -> int:
        return max(LEAST_OF_A_WALK, round(limit * part))

    course = trajectory(walk)
    depth = depth_holes(course, budget(DEPTHS)) if "depth" in walk.modalities() else None
    mapped = depth is not None and depth.empty < 1 and any(walk.camera(i) is not None for i in range(len(walk)))
    fits = agreement(course) if mapped else None
    misread = fits is not None and not fits.fits
    seen = coverage(course, budget(MAP_VIEWS)) if mapped and not misread else None
    report = WalkReport(
        name=walk.name,
        verdict="good",
        frames=len(walk),
        continuous=course.continuous,
        left_out=_left_out(walk),
        pictures=pictures(course, budget(PICTURES)),
        depth=depth,
        clock=clock(course),
        motion=motion(course, depth=mapped and not misread),
        agreement=fits,
        loops=loops(course, seen.views, seen.cubes) if seen else None,
        floors=_floors(course, seen.maps) if seen else [],
        findings=[],
        unchecked=_unchecked(course, mapped, depth is not None, misread),
    )
    views = len(course.views(len(course))) if course.posed.any() else None
    findings = judge(report, course, views)
    return replace(report, findings=findings, verdict=verdict(findings))


def _left_out(walk: Walk) -> dict[str, int]:
    reasons = Counter(re.split(r" \(|: ", reason)[0] for _, reason in walk.dropped())
    return {reason: count for reason, count in reasons.most_common() if not reason.startswith(SPARE)}


def _floors(course: Trajectory, maps: list[FloorMap]) -> list[Floor]:
    found = [(plan, gap) for plan in maps for gap in gaps(plan)]
    chosen = sorted(found, key=lambda item: -item[1].weight)[:MARKS]
    result = []
    for plan in maps:
        inside = plan.inside
        area = plan.area(inside)
        result.append(
            Floor(
                name=plan.name,
                area=area,
                floor_area=plan.area(plan.kind == FLOOR),
                covered=float((plan.views[inside] >= VIEWS).mean()),
                directions=float((plan.sectors[inside] >= DIRECTIONS).mean()),
                views=float(np.median(plan.views[inside])),
                walls=_wall_length(plan),
                openings=sum(gap.size for other, gap in found if other is plan and gap.kind == "opening"),
                camera_height=plan.camera_height if plan.floor_seen else None,
                parts=_parts(course, plan),
                places=[
                    describe(gap, mark, plan, course) for mark, (other, gap) in enumerate(chosen, 1) if other is plan
                ],
                plan=plan,
            )
        )
    return result


def _wall_length(plan: FloorMap) -> float:
    """Metres of wall: its cells beside the ground, as noise makes walls thick."""
    return float(((plan.kind == WALL) & ndimage.binary_dilation(plan.inside)).sum()) * plan.cell


def _parts(course: Trajectory, plan: FloorMap) -> dict[str, tuple[float, float]]:
    """Where the cameras of each part were: the one nearest to their middle."""
    result = {}
    names = np.array([course.parts[int(index)] or "" for index in plan.frames])
    for name in dict.fromkeys(names[names != ""].tolist()):
        here = plan.path[names == name]
        east, south = here[np.linalg.norm(here - np.median(here, 0), axis=1).argmin()]
        result[name] = (float(east), float(south))
    return result


def _unchecked(course: Trajectory, mapped: bool, depth: bool, misread: bool) -> list[str]:
    """What could not be checked, and why."""
    reasons = []
    posed = int(course.posed.sum())
    camera = any(course.walk.camera(index) is not None for index in range(len(course)))
    if misread:
        reasons.append("coverage and loop closure: depth and poses do not fit each other")
    elif not posed:
        reasons.append("coverage, tracking and loop closure: there are no poses")
    elif not depth:
        reasons.append("coverage and loop closure: there is no depth")
    elif not camera:
        reasons.append("coverage and loop closure: there are no intrinsics")
    elif not mapped:
        reasons.append("coverage and loop closure: the depth is empty")
    if not depth:
        reasons.append("holes of the depth: there is no depth")
    if posed and not course.continuous:
        reasons.append("jumps and drift: the frames do not follow each other like a film's")
    if 0 < posed < len(course):
        reasons.append(f"{len(course) - posed} of {len(course)} frames have no pose and are not on the map")
    if not np.isfinite(course.times).any():
        reasons.append("the clock: there are no times")
    return reasons
