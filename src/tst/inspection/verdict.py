"""From measurements to judgements: every threshold of `tst check`, with its reason, and the words."""

from tst.inspection.agreement import Agreement
from tst.inspection.clock import Clock
from tst.inspection.coverage import DIRECTIONS, SECTORS, VIEWS
from tst.inspection.depth import DepthHoles
from tst.inspection.loops import Loops
from tst.inspection.motion import Motion
from tst.inspection.pictures import Pictures
from tst.inspection.report import Finding, Floor, Level, Verdict, WalkReport
from tst.inspection.trajectory import Trajectory

# Pairs are (poor, bad).
FRAMES = (60, 10)
"""Views (or pictures), at least. The recording that docs/experiments.md learns from has 514; sixty are one slow look
round each of three rooms; ten are not a recording of a space."""
BLURRED = (0.1, 0.3)
"""Share of frames. `tst read` leaves the worst out by itself; a tenth does no harm, with a third the sharp ones that
are left have gaps between them."""
EXPOSURE = (0.1, 0.4)
"""Share of pictures that are dark, bright or burnt out: the same reasoning; a whole dark room is about a tenth."""
UNKNOWN = (0.25, 0.6)
"""Median share of unknown depth. Structured light and time of flight lose 5 to 25 % indoors; from 60 % on, most of what
is masked has nothing to be predicted."""
EMPTY = (0.05, 0.5)
"""Share of frames without any depth."""
JUMPS = (0.0, 0.02)
"""Of the frames. A single jump tears the map in two; one in fifty frames is a tracking that does not hold."""
STUCK = (0.02, 0.2)
"""Share of frames whose pose stands still while the picture moves."""
LOOP = (5.0, 20.0)
"""Centimetres between two looks at one surface: 5 are a good phone's over a flat; at 20 a wall appears twice."""
UNCOVERED = (0.15, 0.4)
"""Share of the known ground that fewer than coverage.VIEWS views saw; furniture hides a tenth of a room's floor."""
OPEN = (0.15, 1.0)
"""Share of the border of the seen ground that is neither wall nor furniture: each closed room has a few per cent of
corners not looked into; never bad, as what lies behind may not be wanted."""
FROM_SIDES = 0.3
"""Share of the ground seen from coverage.DIRECTIONS sides below which it is said; walking straight through gives 0.1 to
0.2, crossing each room twice 0.5."""
HIGHEST_CAMERA = 3.5
"""Metres above the floor that no person or robot films from: the scale is wrong."""
ENOUGH_FOR_A_TENTH = 30
"""Pairs of frames of which the worst tenth is more than an odd one or two."""
BACK_TO_START = 80
"""Views after which a walk should have come back to a place."""

LEFT_OUT = (0.25, 0.7)
"""Share of the frames that `tst read` had to leave out as blurred, dark or without pose, of those it wanted: places are
missing then. Frames that merely show the same again do not count."""

ORDER = (
    "units",
    "frames",
    "left out",
    "depth",
    "tracking",
    "loops",
    "coverage",
    "blur",
    "exposure",
    "clock",
    "directions",
    "scale",
)
"""Of importance, among findings of one level: what spoils everything else comes first."""
LEVELS: tuple[Level, ...] = ("bad", "poor", "note", "good")


def judge(report: WalkReport, course: Trajectory, views: int | None) -> list[Finding]:
    """All findings on a walk, the most important first. `views`: how many there are; None without poses."""
    found = [_frames(views, report.frames), *_pictures(report.pictures)]
    if report.left_out:
        found.append(_left_out(report.left_out, report.frames))
    if report.depth:
        found.append(_depth(report.depth))
    if report.clock:
        found += _clock(report.clock)
    if report.agreement:
        found.append(judge_agreement(report.agreement))
    if report.motion:
        found += _motion(report.motion, len(course))
    misread = report.agreement is not None and not report.agreement.fits
    if report.floors and not misread:
        found += _coverage(report.floors)
        if report.loops:
            found.append(_loops(report.loops))
        elif course.continuous and (views or 0) > BACK_TO_START:
            text = "no place was seen again later with enough surfaces in view: drift cannot be told"
            found.append(Finding("loops", "note", text, "come back to where you began, and look at the same things"))
    return sorted(found, key=lambda finding: (LEVELS.index(finding.level), ORDER.index(finding.measure)))


def verdict(findings: list[Finding]) -> Verdict:
    """One word for a walk."""
    levels = {finding.level for finding in findings}
    if any(finding.measure == "units" and finding.level == "bad" for finding in findings):
        return "read again"
    return "record again" if "bad" in levels else "usable" if "poor" in levels else "good"


def _level(value: float, limits: tuple[float, float]) -> Level:
    return "bad" if value > limits[1] else "poor" if value > limits[0] else "good"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _frames(views: int | None, frames: int) -> Finding:
    count = frames if views is None else views
    level: Level = "bad" if count < FRAMES[1] else "poor" if count < FRAMES[0] else "good"
    what = f"{frames} pictures" if views is None else f"{views} different views in {frames} frames"
    advice = None if level == "good" else f"record at least {FRAMES[0]} views: walk through every room"
    return Finding("frames", level, f"{'only ' if advice else ''}{what}", advice)


def _left_out(reasons: dict[str, int], kept: int) -> Finding:
    count = sum(reasons.values())
    level = _level(count / (count + kept), LEFT_OUT)
    told = ", ".join(f"{number} {reason}" for reason, number in list(reasons.items())[:3])
    advice = None if level == "good" else "move more slowly and in good light, with furniture in view"
    return Finding("left out", level, f"reading left out {count} frames ({told})", advice)


def _pictures(pictures: Pictures) -> list[Finding]:
    level = _level(pictures.blurred, BLURRED)
    advice = None if level == "good" else "move and turn more slowly, or bring more light, for shorter exposures"
    found = [Finding("blur", level, f"{pictures.blurred:.0%} of the frames are blurred", advice)]
    for share, what, advice in (
        (pictures.dark, "too dark", "switch the lights on, or record by day"),
        (pictures.bright, "too bright", "lower the exposure, or lock it on a part of the room in usual light"),
        (pictures.clipped, "burnt out in large parts", "draw the curtains, or do not film towards windows and lamps"),
    ):
        if share > 0.005:
            level = _level(share, EXPOSURE)
            text = f"{share:.0%} of the pictures are {what}"
            found.append(Finding("exposure", level, text, None if level == "good" else advice))
    if len(found) == 1:
        found.append(Finding("exposure", "good", "no picture is too dark or too bright"))
    return found


def _depth(depth: DepthHoles) -> Finding:
    if depth.empty >= 1:
        advice = "check that the depth sensor was on, and which files the depth was read from"
        return Finding("depth", "bad", "the depth is 0 (unknown) everywhere", advice)
    if depth.worst < 0.005 and not depth.empty:
        return Finding("depth", "good", "the depth has no holes")
    level = min(_level(depth.unknown, UNKNOWN), _level(depth.empty, EMPTY), key=LEVELS.index)
    text = f"{depth.unknown:.0%} of the depth is unknown in the median frame, {depth.worst:.0%} in the worst tenth"
    text += f"; {depth.empty:.0%} of the frames have none" if depth.empty > 0.005 else ""
    text += f"; mostly at the {depth.where} of the picture" if depth.where and depth.unknown > 0.02 else ""
    text += f"; mostly on {depth.on} surfaces" if depth.on and depth.unknown > 0.02 else ""
    advice = "keep 0.5 to 4 m from things, and look at dark, shiny and glass surfaces from several sides"
    return Finding("depth", level, text, None if level == "good" else advice)


def _clock(clock: Clock) -> list[Finding]:
    found = []
    if clock.backwards or clock.repeated:
        odd = ((clock.backwards, "earlier than"), (clock.repeated, "at the same time as"))
        text = " and ".join(f"{_count(number, 'frame')} {how} the one before" for number, how in odd if number)
        found.append(Finding("clock", "poor", text, "read it again with the frames' own clock, or sort them by time"))
    missed = [gap for gap in clock.gaps if gap.missed]
    if missed:
        longest = missed[0]
        text = (
            f"{_count(len(missed), 'gap')} in time, the longest of {longest.seconds:.1f} s after frame {longest.frame}"
        )
        text += f", in which the camera moved {longest.moved:.1f} m" if longest.moved is not None else ""
        advice = "record without pauses, and free the phone's memory and disk before"
        found.append(Finding("clock", "poor", text, advice))
    elif clock.gaps:
        found.append(Finding("clock", "good", f"{_count(len(clock.gaps), 'pause')}; the camera stood still meanwhile"))
    if not found:
        found.append(Finding("clock", "good", f"no gaps in {clock.seconds:.0f} s, {clock.rate:.3g} frames a second"))
    return found


def judge_agreement(agreement: Agreement) -> Finding:
    """Whether depth and poses belong together, and what is wrong if they do not."""
    share = f"neighbouring frames agree on {agreement.share:.0%} of their points"
    if agreement.fits:
        return Finding("units", "good", f"depth and poses fit: {share}")
    if agreement.unit:
        text = f"the poses are in {agreement.unit}, not metres: {share}, and fit once positions are converted"
        advice = f"convert the positions from {agreement.unit} to metres, and read it again"
        return Finding("units", "bad", text, advice)
    if agreement.factor:
        text = f"poses and depth differ in scale: {share}, and fit with positions times {agreement.factor:.3g}"
        advice = "correct the unit of depth or positions (poses from pictures alone have no scale), and read it again"
        return Finding("units", "bad", text, advice)
    advice = (
        "check axes and direction of the poses, the intrinsics, and the clocks of depth and poses; then read it again"
    )
    return Finding("units", "bad", f"depth and poses do not fit each other: {share}, at any scale", advice)


def _motion(motion: Motion, frames: int) -> list[Finding]:
    found = []
    if motion.jumps:
        worst = max(motion.jumps, key=lambda jump: jump.metres)
        text = f"{_count(len(motion.jumps), 'jump')} of the tracking, at most "
        text += f"{worst.metres:.1f} m and {worst.degrees:.0f}° (between frames {worst.before} and {worst.after})"
        advice = "record that part again, more slowly and with furniture in view: bare walls lose the tracking"
        found.append(Finding("tracking", _level(len(motion.jumps) / frames, JUMPS), text, advice))
    if motion.stuck:
        text = (
            f"{motion.stuck} frames have the pose of the frame before although the picture changes: tracking was lost"
        )
        level = _level(motion.stuck / frames, STUCK)
        found.append(Finding("tracking", level, text, "record those parts again, more slowly"))
    if motion.cuts:
        first = motion.cuts[0]
        text = f"{_count(len(motion.cuts), 'cut')}: the recording goes on elsewhere "
        text += f"({first.metres:.1f} m on after frame {first.before})"
        found.append(Finding("tracking", "note", text))
    if not found:
        speed = f" at {motion.speed:.1f} m/s" if motion.speed else ""
        found.append(Finding("tracking", "good", f"no jumps on a way of {motion.metres:.0f} m{speed}"))
    return found


def _loops(loops: Loops) -> Finding:
    text = f"places seen again differ by {loops.error:.1f} cm in the median of {loops.pairs} pairs of frames"
    text += f", {loops.worst:.1f} cm in the worst tenth" if loops.pairs >= ENOUGH_FOR_A_TENTH else ""
    level = _level(loops.error, LOOP)
    if loops.drift is not None and level != "good" and loops.drift > 0:
        text += f"; {loops.drift:.1f} cm more every {loops.per}"
    advice = "walk shorter rounds that end where they began, slowly, so that the tracking can correct itself"
    return Finding("loops", level, text, None if level == "good" else advice)


def _coverage(floors: list[Floor]) -> list[Finding]:
    area = sum(floor.area for floor in floors)
    covered = sum(floor.covered * floor.area for floor in floors) / max(area, 1e-9)
    border = sum(floor.walls + floor.openings for floor in floors)
    openings = sum(floor.openings for floor in floors)
    level: Level = _level(1 - covered, UNCOVERED)
    text = f"{covered:.0%} of {area:.0f} m² of ground were seen by at least {VIEWS} views"
    found = [Finding("coverage", level, text)]
    level = _level(openings / max(border, 1e-9), OPEN)
    if level != "good":
        text = f"{openings:.1f} m of the border of what was seen are open: rooms were not seen whole"
        found.append(Finding("coverage", level, text))
    directions = sum(floor.directions * floor.area for floor in floors) / max(area, 1e-9)
    text = f"{directions:.0%} of the ground was seen from {DIRECTIONS} or more sides (of {SECTORS})"
    if directions < FROM_SIDES:
        advice = "cross each room twice, on different lines, and look back"
        found.append(Finding("directions", "note", text, advice))
    else:
        found.append(Finding("directions", "good", text))
    for floor in floors:
        if floor.camera_height is None:
            text = f"the floor{f' of {floor.name}' if floor.name else ''} was hardly seen; its height is assumed"
            found.append(Finding("coverage", "poor", text, "tilt the camera down now and then"))
        elif floor.camera_height > HIGHEST_CAMERA:
            text = f"the camera is {floor.camera_height:.1f} m above the floor: are lengths in metres?"
            found.append(Finding("scale", "poor", text, "check the scale of depth and poses"))
    return found
