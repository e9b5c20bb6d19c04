"""The picture of a map's weakness: each storey from above, coloured by confidence and by agreement between views."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tst.files import atomic_path
from tst.inspection.picture import ACCENT, DPI, GREY, INK, MARGIN, PATH_COLOUR
from tst.mapping.weakness import Plan

COLOURS = "RdYlGn"
WIDTH = 12.0
"""Inches."""


def draw(plans: list[Plan], title: str, out: Path) -> Path:
    """Write a PNG: a row a storey, confidence on the left and agreement on the right, weak places numbered."""
    sizes = [(np.array(plan.confidence.shape[::-1]) * plan.cell + 2 * MARGIN) for plan in plans]
    heights = [min(5.5, 0.5 * (WIDTH - 1.2) * size[1] / size[0]) for size in sizes]
    places = sorted((place for plan in plans for place in plan.places), key=lambda place: place.mark)
    words = [place.text for place in places]
    top, bottom = 0.9, 0.25 * len(words) + 0.5
    total = top + sum(heights) + 0.5 * len(plans) + bottom
    with mpl.rc_context({"font.family": "DejaVu Sans", "font.size": 9, "text.color": INK}):
        figure = Figure((WIDTH, total), dpi=DPI, facecolor="white")
        FigureCanvasAgg(figure)
        figure.text(0.4 / WIDTH, 1 - 0.45 / total, title, fontsize=14, fontweight="bold", parse_math=False)
        down = top
        for plan, height in zip(plans, heights, strict=True):
            for number, kind in enumerate(("confidence", "agreement")):
                left = 0.4 + number * (WIDTH - 0.8) / 2
                box = (left / WIDTH, 1 - (down + 0.3 + height) / total, (WIDTH - 1.4) / 2 / WIDTH, height / total)
                what = "confidence of the model" if kind == "confidence" else "agreement between views"
                name = "" if plan.name == "plan" else f"{plan.name}: "
                _map(figure.add_axes(box), plan, getattr(plan, kind), f"{name}{what}")
            down += height + 0.5
        shades = mpl.cm.ScalarMappable(mpl.colors.Normalize(0, 1), COLOURS)
        axes = figure.add_axes((1 - 3.2 / WIDTH, 1 - 0.5 / total, 2.6 / WIDTH, 0.14 / total))
        figure.colorbar(shades, axes, orientation="horizontal", ticks=[0, 0.5, 1])
        axes.tick_params(labelsize=8, colors=GREY, length=0)
        for number, text in enumerate(words):
            y = 1 - (down + 0.3 + 0.25 * number) / total
            figure.text(0.4 / WIDTH, y, text[0].upper() + text[1:], fontsize=8.5, parse_math=False)
        with atomic_path(out) as temporary:
            figure.savefig(temporary)
    return out


def _map(axes: Axes, plan: Plan, values: np.ndarray, title: str) -> None:
    height, width = (side * plan.cell for side in values.shape)
    axes.set(xlim=(-MARGIN, width + MARGIN), ylim=(height + MARGIN, -MARGIN), aspect="equal", anchor="NW")
    axes.axis("off")
    axes.set_title(title, fontsize=10, fontweight="bold", loc="left")
    axes.imshow(values, COLOURS, vmin=0, vmax=1, extent=(0, width, height, 0), interpolation="nearest")
    axes.plot(*plan.path.T, ".", color=PATH_COLOUR, markersize=2, alpha=0.6)
    for place in plan.places:
        axes.plot(*place.at, "o", color="white", markeredgecolor=ACCENT, markeredgewidth=1.4, markersize=13)
        style: dict[str, Any] = {
            "ha": "center",
            "va": "center_baseline",
            "fontsize": 8,
            "fontweight": "bold",
            "color": ACCENT,
        }
        axes.text(place.at[0], place.at[1], str(place.mark), **style)
    metres = 2
    axes.plot([0, metres], [height + 0.6 * MARGIN] * 2, color=INK, linewidth=2)
    axes.text(metres + 0.15, height + 0.6 * MARGIN, f"{metres} m", va="center", fontsize=8)
