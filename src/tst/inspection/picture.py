"""The picture of a report: a map of each storey with views, camera path and gaps, and charts along the walk."""

import textwrap
import warnings
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle, Wedge

from tst.errors import UserError
from tst.files import atomic_path
from tst.inspection.coverage import FLOOR, SECTORS, THING, VIEWS, WALL, FloorMap
from tst.inspection.gaps import Gap
from tst.inspection.pictures import DARK, WIDE_EDGES
from tst.inspection.places import floor_name
from tst.inspection.report import Floor, Report, WalkReport
from tst.inspection.text import VERDICTS
from tst.inspection.verdict import LOOP, UNKNOWN
from tst.space.images import made_by

TAG = "tst check"
INK, GREY, PALE, PAPER = "#22272b", "#6d767d", "#d9dcdd", "#ffffff"
UNSEEN, SELDOM = "#e8684a", "#f7c9a9"
ENOUGH = (("#d3e8e3", VIEWS), ("#9fd0c7", 10), ("#5eaaa2", 30), ("#2b7a78", 100))
"""Colour of a place by the number of views, from so many on."""
PATH_COLOUR, ACCENT = "#3b2a5c", "#c2361b"
VERDICT_COLOURS = {"good": "#2b7a78", "usable": "#c98a1b", "record again": "#c2361b", "read again": "#c2361b"}
WIDTH = 13.0
"""Inches."""
DPI = 120
SIDE = 3.5
"""Inches at the right for words."""
MAPS_HEIGHT = 7.2
"""Inches that the maps may be high."""
STRIP = 1.05
MOST_WALKS = 4
"""Walks that are drawn, the worst first."""
MOST_FLOORS = 6
LONGEST_NAME, LONGEST_PART = 60, 24
"""Characters of names that are drawn."""
MARGIN = 0.45
"""Metres around a map."""
STEP = 1.0
"""Metres between frames beyond which the path is not drawn as a line."""


def draw(report: Report, out: Path) -> Path:
    """Draw a report as a PNG. An earlier picture of a check is renewed.

    Raises:
        UserError: `out` is another file of the user's, or not named .png.
    """
    out = Path(out)
    if out.suffix.lower() != ".png":
        raise UserError(f"{out}: the picture of a check is a PNG. Choose a name that ends in .png.")
    if out.exists() and not made_by(TAG, out):
        raise UserError(f"{out}: exists and is not the picture of a check. Choose another folder with --out FOLDER.")
    order = sorted(report.walks, key=lambda walk: -list(VERDICTS).index(walk.verdict))[:MOST_WALKS]
    heights = [_height(walk) for walk in order]
    with mpl.rc_context({"font.family": "DejaVu Sans", "font.size": 9, "text.color": INK, "axes.edgecolor": PALE}):
        figure = Figure((WIDTH, sum(heights)), dpi=DPI, facecolor=PAPER)
        FigureCanvasAgg(figure)
        top = sum(heights)
        for walk, height in zip(order, heights, strict=True):
            _Sheet(figure, top, height).walk(report, walk)
            top -= height
        if len(report.walks) > len(order):
            figure.text(0.5, 0.005, f"and {len(report.walks) - len(order)} more walks", ha="center", color=GREY)
        with atomic_path(out) as temporary, warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)  # a name in a script the font lacks
            figure.savefig(temporary, metadata={"Software": TAG})
    return out


def _extent(plan: FloorMap) -> tuple[float, float]:
    """Width and height in metres, with the margin."""
    return plan.kind.shape[1] * plan.cell + 2 * MARGIN, plan.kind.shape[0] * plan.cell + 2 * MARGIN


def _scale(walk: WalkReport) -> float:
    """Inches a metre: the same for all storeys of a walk."""
    sizes = [_extent(floor.plan) for floor in walk.floors[:MOST_FLOORS]]
    gaps = 0.35 * (len(sizes) - 1)
    room = WIDTH - SIDE - 0.9 - gaps
    return min(room / sum(w for w, _ in sizes), MAPS_HEIGHT / max(h for _, h in sizes), 1.2)


def _height(walk: WalkReport) -> float:
    maps = 0.4
    if walk.floors:
        maps = max(_scale(walk) * max(_extent(floor.plan)[1] for floor in walk.floors[:MOST_FLOORS]) + 0.55, 4.6)
    return 1.05 + maps + STRIP + 1.0


class _Sheet:
    """The part of the figure for one walk; positions in inches from its top-left corner."""

    def __init__(self, figure: Figure, top: float, height: float) -> None:
        self.figure, self.top, self.height = figure, top, height
        self.total = float(figure.get_figheight())

    def axes(self, left: float, down: float, width: float, height: float) -> Axes:
        """Axes whose top-left corner is there."""
        box = (left / WIDTH, (self.top - down - height) / self.total, width / WIDTH, height / self.total)
        return self.figure.add_axes(box)

    def text(self, left: float, down: float, words: str, **style: Any) -> None:
        """Text whose baseline starts there."""
        self.figure.text(left / WIDTH, (self.top - down) / self.total, words, parse_math=False, **style)

    def walk(self, report: Report, walk: WalkReport) -> None:
        """Draw everything of one walk."""
        name = report.name if len(report.walks) == 1 else f"{report.name} · {walk.name}"
        self.text(0.45, 0.55, _cut(name), fontsize=17, fontweight="bold", va="baseline")
        self.text(
            WIDTH - 0.45,
            0.55,
            VERDICTS[walk.verdict],
            fontsize=12,
            fontweight="bold",
            color="white",
            ha="right",
            va="baseline",
            bbox={"boxstyle": "round,pad=0.45", "facecolor": VERDICT_COLOURS[walk.verdict], "edgecolor": "none"},
        )
        self.text(0.45, 0.85, _summary(walk), fontsize=9.5, color=GREY, va="baseline")
        down = 1.15
        if walk.floors:
            scale, left = _scale(walk), 0.45
            for floor in walk.floors[:MOST_FLOORS]:
                width, height = (scale * metres for metres in _extent(floor.plan))
                self.text(left + scale * MARGIN, down + 0.2, _title(floor), fontsize=10.5, fontweight="bold")
                _map(self.axes(left, down + 0.25, width, height), walk, floor)
                left += width + 0.35
            _legend(self.axes(WIDTH - SIDE, down + 0.1, SIDE - 0.45, 2.8), scale, walk)
            self.words(walk, down + 3.2)
        else:
            reason = walk.unchecked[0] if walk.unchecked else "nothing was seen"
            self.text(0.45, down + 0.1, f"No map. Not checked: {reason}", color=GREY)
        self.strips(walk, self.height - STRIP - 0.6)

    def words(self, walk: WalkReport, down: float) -> None:
        """What to record next, by mark."""
        places = walk.places
        if not places:
            return
        left = WIDTH - SIDE
        self.text(left, down, "What to record next", fontsize=10.5, fontweight="bold")
        down += 0.22
        for place in places:
            what = {"floor": "m² of floor", "wall": "m of wall", "opening": "m of open edge"}[place.kind]
            lines = textwrap.wrap(f"{place.size:.1f} {what}, {place.where.removeprefix('the ')}", 46)
            if down + 0.16 * len(lines) > self.height - STRIP - 0.9:
                break
            self.text(left + 0.1, down, f"{place.mark}", color=ACCENT, fontweight="bold", ha="center")
            for line in lines:
                self.text(left + 0.28, down, line, fontsize=8.5)
                down += 0.16
            down += 0.06

    def strips(self, walk: WalkReport, down: float) -> None:
        """Small charts along the walk."""
        charts = list(_charts(walk))
        width = (WIDTH - 0.9 - 0.55 * (len(charts) - 1)) / len(charts)
        for number, (title, xs, ys, limit, x_label, dots) in enumerate(charts):
            axes = self.axes(0.45 + number * (width + 0.55), down, width, STRIP)
            _strip(axes, title, xs, ys, limit, x_label, dots)


def _cut(name: str, longest: int = LONGEST_NAME) -> str:
    return name if len(name) <= longest else name[: longest - 1] + "…"


def _summary(walk: WalkReport) -> str:
    parts = [f"{walk.frames:,} frames"]
    if walk.clock:
        parts.append(f"{walk.clock.seconds / 60:.1f} min")
    if walk.motion:
        parts.append(f"{walk.motion.metres:.0f} m of way")
    if walk.floors:
        area = sum(floor.area for floor in walk.floors)
        covered = sum(floor.area * floor.covered for floor in walk.floors) / max(area, 1e-9)
        parts.append(f"{area:.0f} m² of ground, {covered:.0%} well seen")
    if walk.loops:
        parts.append(f"places seen again differ by {walk.loops.error:.1f} cm")
    return "   ·   ".join(parts)


def _title(floor: Floor) -> str:
    name = floor_name(floor.name).removeprefix("the ")
    return f"{name[0].upper() + name[1:]}   {floor.area:.0f} m², {floor.covered:.0%} well seen"


def _colours(plan: FloorMap) -> np.ndarray:
    """(H, W, 4) of each cell."""
    picture = np.zeros((*plan.kind.shape, 4))
    inside = plan.inside
    picture[inside] = (*to_rgb(UNSEEN), 1)
    picture[inside & (plan.views > 0)] = (*to_rgb(SELDOM), 1)
    for colour, least in ENOUGH:
        picture[inside & (plan.views >= least)] = (*to_rgb(colour), 1)
    walls = plan.kind == WALL
    picture[walls] = (*to_rgb(INK), 1)
    picture[walls & (plan.views < VIEWS)] = (*to_rgb(ACCENT), 1)
    return picture


def _map(axes: Axes, walk: WalkReport, floor: Floor) -> None:
    plan = floor.plan
    height, width = (n * plan.cell for n in plan.kind.shape)
    axes.set(xlim=(-MARGIN, width + MARGIN), ylim=(height + MARGIN, -MARGIN), aspect="equal")
    axes.axis("off")
    axes.imshow(_colours(plan), extent=(0, width, height, 0), interpolation="nearest", zorder=1)
    _furniture(axes, plan)
    _path(axes, walk, plan)
    _rooms(axes, floor)
    for place in floor.places:
        _outline(axes, place.gap, plan)
        at = tuple(place.gap.at)
        axes.plot(*at, "o", color="white", markeredgecolor=ACCENT, markeredgewidth=1.4, markersize=14, zorder=8)
        style: Any = {"ha": "center", "va": "center_baseline", "fontsize": 8.5, "fontweight": "bold", "color": ACCENT}
        axes.text(at[0], at[1], str(place.mark), zorder=9, **style)


def _rooms(axes: Axes, floor: Floor) -> None:
    """Names of the parts, where there are several, each amid its cameras."""
    if len(floor.parts) < 2:
        return
    halo = [patheffects.withStroke(linewidth=2.5, foreground="white", alpha=0.8)]
    for name, (east, south) in floor.parts.items():
        style: Any = {"ha": "center", "va": "center", "fontsize": 9, "path_effects": halo, "parse_math": False}
        axes.text(east, south, _cut(name, LONGEST_PART), color=INK, zorder=7, **style)


def _furniture(axes: Axes, plan: FloorMap) -> None:
    """Thin lines between bare floor and what stands on it."""
    things, seen = plan.kind == THING, plan.kind >= FLOOR
    lines = []
    for (a, b), across in (((things[:, :-1], things[:, 1:]), True), ((things[:-1], things[1:]), False)):
        both = (seen[:, :-1] & seen[:, 1:]) if across else (seen[:-1] & seen[1:])
        walls = plan.kind == WALL
        none = ~(walls[:, :-1] | walls[:, 1:]) if across else ~(walls[:-1] | walls[1:])
        for row, column in np.argwhere((a != b) & both & none) * 1.0:
            start = (column + 1, row) if across else (column, row + 1)
            end = (column + 1, row + 1)
            lines.append([(start[0] * plan.cell, start[1] * plan.cell), (end[0] * plan.cell, end[1] * plan.cell)])
    axes.add_collection(LineCollection(lines, colors=INK, linewidths=0.6, alpha=0.6, zorder=2))


def _path(axes: Axes, walk: WalkReport, plan: FloorMap) -> None:
    if walk.continuous:
        near = np.linalg.norm(np.diff(plan.path, axis=0), axis=1) < STEP
        segments = np.stack([plan.path[:-1], plan.path[1:]], 1)[near]
        axes.add_collection(LineCollection(list(segments), colors="white", linewidths=2.6, alpha=0.8, zorder=4))
        axes.add_collection(LineCollection(list(segments), colors=PATH_COLOUR, linewidths=1.3, zorder=5))
        for point, shape in ((plan.path[0], "o"), (plan.path[-1], "s")):
            axes.plot(*point, shape, color=PATH_COLOUR, markeredgecolor="white", markersize=7, zorder=6)
    else:
        axes.plot(*plan.path.T, **_camera_style(walk), zorder=5)


def _outline(axes: Axes, gap: Gap, plan: FloorMap) -> None:
    """The border of a gap's cells; the cells themselves where they are a line."""
    cell = plan.cell
    if gap.kind == "opening":
        picture = np.zeros((*gap.cells.shape, 4))
        picture[gap.cells] = (*to_rgb(ACCENT), 1)
        extent = (0, plan.kind.shape[1] * cell, plan.kind.shape[0] * cell, 0)
        axes.imshow(picture, extent=extent, interpolation="nearest", zorder=3)
        return
    padded = np.pad(gap.cells, 1).astype(float)
    xs, ys = (np.arange(n) - 0.5 for n in (padded.shape[1], padded.shape[0]))
    axes.contour(xs * cell, ys * cell, padded, [0.5], colors=ACCENT, linewidths=1.2, zorder=6)


def _legend(axes: Axes, scale: float, walk: WalkReport) -> None:
    """Colours, signs, a scale bar, the north, and where the cameras looked."""
    width, height = SIDE - 0.45, 2.8
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.axis("off")
    axes.text(0, 0.1, "Views of each place", fontsize=10.5, fontweight="bold", va="center")
    limits = [least for _, least in ENOUGH]
    names = ["none", f"1–{VIEWS - 1}", *(f"{a}–{b - 1}" for a, b in pairwise(limits))]
    names.append(f"{limits[-1]}+")
    box = width / len(names)
    for number, (name, colour) in enumerate(zip(names, (UNSEEN, SELDOM, *(c for c, _ in ENOUGH)), strict=True)):
        axes.add_patch(Rectangle((number * box, 0.27), box, 0.2, facecolor=colour, edgecolor="white"))
        axes.text((number + 0.5) * box, 0.6, name, ha="center", va="center", fontsize=8, color=GREY)
    axes.add_patch(Rectangle((0, 0.87), 0.15, 0.1, facecolor=INK))
    axes.add_patch(Rectangle((0.15, 0.87), 0.15, 0.1, facecolor=ACCENT))
    axes.plot([0, 0.3] if walk.continuous else [0.15], [1.11] * (1 + walk.continuous), **_camera_style(walk))
    axes.plot([0, 0.3], [1.3, 1.3], color=ACCENT, linewidth=2.6)
    for y, words in (
        (0.92, f"wall; seen by fewer than {VIEWS} views"),
        (1.11, "camera: ● first, ■ last" if walk.continuous else "cameras"),
        (1.3, "edge without a wall: unknown beyond"),
    ):
        axes.text(0.42, y, words, va="center", fontsize=8.5)
    y = 1.49
    _scale_bar(axes, scale, y + 0.45)
    _rose(axes, (width - 0.55, y + 0.6), 0.42, np.sum([floor.plan.headings for floor in walk.floors], 0))


def _camera_style(walk: WalkReport) -> dict[str, Any]:
    if walk.continuous:
        return {"color": PATH_COLOUR, "linewidth": 1.3}
    return {"color": PATH_COLOUR, "linestyle": "", "marker": ".", "markersize": 5, "mec": "white", "mew": 0.5}


def _scale_bar(axes: Axes, scale: float, y: float) -> None:
    metres = next((m for m in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if m * scale > 0.7), 1000)
    length = metres * scale
    for number in range(2):
        colour = INK if number == 0 else "white"
        axes.add_patch(
            Rectangle((number * length / 2, y), length / 2, 0.07, facecolor=colour, edgecolor=INK, linewidth=0.8)
        )
    axes.text(length / 2, y + 0.2, f"{metres} m", ha="center", va="center", fontsize=8.5)


def _rose(axes: Axes, centre: tuple[float, float], radius: float, headings: np.ndarray) -> None:
    """How often the cameras looked each way; north is up, as on the maps."""
    axes.add_patch(Circle(centre, radius, facecolor="none", edgecolor=PALE, linewidth=0.8))
    most = max(int(headings.max()), 1)
    for sector, count in enumerate(headings):
        # On screen y points down and angles run clockwise from the right; sectors count from north, counter-clockwise.
        middle = -90 - 360 * sector / SECTORS
        half = 180 / SECTORS - 2
        size = radius * np.sqrt(count / most)
        axes.add_patch(
            Wedge(centre, float(size), middle - half, middle + half, facecolor=ENOUGH[2][0], edgecolor="none")
        )
    axes.text(centre[0], centre[1] - radius - 0.1, "N", ha="center", va="center", fontsize=8.5, fontweight="bold")
    axes.text(
        centre[0], centre[1] + radius + 0.13, "directions looked", ha="center", va="center", fontsize=8, color=GREY
    )


Chart = tuple[str, np.ndarray, np.ndarray, float | None, str, bool]


def _charts(walk: WalkReport) -> Iterator[Chart]:
    """(title, x, y, the limit of what is good, label of x, whether to draw dots)."""
    pictures = walk.pictures
    yield "width of edges (above the line: blurred)", pictures.frames, pictures.edges, WIDE_EDGES, "frame", False
    yield "brightness (below the line: dark)", pictures.frames, pictures.brightness, DARK, "frame", False
    if walk.depth:
        yield "unknown depth, %", walk.depth.frames, 100 * walk.depth.shares, 100 * UNKNOWN[0], "frame", False
    if walk.loops:
        loops = walk.loops
        minutes = loops.per == "minute"
        apart = loops.apart / 60 if minutes else loops.apart
        label = "minutes between two looks" if minutes else "frames between two looks"
        yield "places seen again differ by, cm", apart, loops.errors, LOOP[0], label, True


def _strip(
    axes: Axes, title: str, xs: np.ndarray, ys: np.ndarray, limit: float | None, x_label: str, dots: bool
) -> None:
    axes.set_title(title, fontsize=9, loc="left", color=INK, pad=5)
    top = float(np.percentile(ys, 95) if dots else np.max(ys))
    top = 1.15 * max(top, limit or 0.0) or 1.0
    if dots:  # an odd pair must not flatten the rest: it is drawn at the top
        beyond = ys > top
        axes.plot(xs[~beyond], ys[~beyond], "o", color=ENOUGH[3][0], markersize=3, alpha=0.7, markeredgewidth=0)
        axes.plot(xs[beyond], np.full(beyond.sum(), 0.96 * top), "^", color=ACCENT, markersize=4, markeredgewidth=0)
    else:
        axes.plot(xs, ys, color=ENOUGH[3][0], linewidth=1)
    if limit is not None:
        axes.axhline(limit, color=ACCENT, linewidth=0.9, linestyle=(0, (4, 3)))
    axes.set_ylim(0, top)
    low, high = float(np.min(xs)), float(np.max(xs))
    margin = 0.03 * (high - low) if dots else 0.0
    axes.set_xlim(low - margin, high + margin if high > low else low + 1)
    axes.tick_params(labelsize=8, colors=GREY, length=0)
    axes.locator_params(axis="y", nbins=3)
    axes.locator_params(axis="x", nbins=5)
    axes.set_xlabel(x_label, fontsize=8, color=GREY, labelpad=2)
    axes.grid(axis="y", color=PALE, linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
