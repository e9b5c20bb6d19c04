"""Small charts as inline SVG and HTML, coloured by the page's CSS variables so that they follow light and dark themes.

Positions are percentages, so charts stretch with the page while text, strokes and dots keep their size.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape


@dataclass(frozen=True)
class Line:
    """One line of a line chart; `kind` is its CSS class (`train`, `val`). `xs` ascending, both finite."""

    label: str
    kind: str
    xs: np.ndarray
    ys: np.ndarray


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers covering [low, high], about `count` steps."""
    span = max(high - low, 1e-9)
    raw = span / count
    power = 10 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 10) for i in range(first, max(last, first + 1) + 1)]


def number(value: float) -> str:
    """A tick label: 0.5, 20, 10k, 1.5M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.4g}{letter}".replace("-", "−")
    return f"{value:.4g}".replace("-", "−")


def thin(xs: np.ndarray, ys: np.ndarray, limit: int = 240) -> tuple[np.ndarray, np.ndarray]:
    """Average neighbouring points until at most `limit` are left."""
    if len(xs) <= limit:
        return xs, ys
    bins = np.array_split(np.arange(len(xs)), limit)
    return np.array([xs[b].mean() for b in bins]), np.array([ys[b].mean() for b in bins])


def score_bar(value: float, ci: tuple[float, float], dots: Sequence[float], marks: Sequence[float]) -> Markup:
    """A horizontal bar from 0 with its interval, and a dot for each seed; the axis ends at the last of `marks`."""
    end = marks[-1]

    def at(v: float) -> str:
        return f"{100 * min(max(v / end, 0), 1):.2f}%"

    parts = [f'<line class="grid" x1="{at(m)}" x2="{at(m)}" y1="0" y2="34"/>' for m in marks]
    parts.append(f'<rect class="bar" x="0" y="7" width="{at(value)}" height="20" rx="2"/>')
    parts.append(f'<line class="whisker" x1="{at(ci[0])}" x2="{at(ci[1])}" y1="17" y2="17"/>')
    parts += [f'<line class="whisker" x1="{at(v)}" x2="{at(v)}" y1="12" y2="22"/>' for v in ci]
    if len(dots) > 1:
        parts += [
            f'<circle class="dot" cx="{at(v)}" cy="17" r="3.5"><title>seed {i}: {v:.2f}</title></circle>'
            for i, v in enumerate(dots)
        ]
    return Markup(f'<svg class="scorebar" width="100%" height="34" aria-hidden="true">{"".join(parts)}</svg>')


def interval_mark(value: float, ci: tuple[float, float], ends: tuple[float, float]) -> Markup:
    """A point with its interval on an axis between `ends`, with a line at zero."""

    def at(v: float) -> str:
        return f"{100 * (v - ends[0]) / (ends[1] - ends[0]):.2f}%"

    clear = "up" if ci[0] > 0 else "down" if ci[1] < 0 else "open"
    return Markup(
        f'<svg class="forest {clear}" width="100%" height="20" aria-hidden="true">'
        f'<line class="zero" x1="{at(0)}" x2="{at(0)}" y1="0" y2="20"/>'
        f'<line class="whisker" x1="{at(ci[0])}" x2="{at(ci[1])}" y1="10" y2="10"/>'
        f'<circle class="point" cx="{at(value)}" cy="10" r="4"/></svg>'
    )


def line_chart(lines: Sequence[Line], description: str, x_label: str = "step", x_end: float | None = None) -> Markup:
    """Lines over a common x axis from 0. The y axis fits the data: it need not start at 0."""
    lines = [line for line in lines if len(line.xs)]
    if not lines:
        return Markup("")
    low, high = min(float(line.ys.min()) for line in lines), max(float(line.ys.max()) for line in lines)
    pad = 0.06 * (high - low) or 0.5
    y0, y1 = (low - pad if low < 0 or low > pad else 0.0), high + pad
    y_marks = [mark for mark in ticks(y0, y1, 4) if y0 <= mark <= y1]
    last = max([x_end or 0.0, *(float(line.xs.max()) for line in lines)]) or 1.0
    x_marks = [mark for mark in ticks(0, last, 4) if mark <= last * 1.0001]

    def x(v: float) -> float:
        return 100 * v / last

    def y(v: float) -> float:
        return 100 * (1 - (v - y0) / (y1 - y0))

    grid = "".join(f'<line class="grid" x1="0" x2="100" y1="{y(m):.2f}" y2="{y(m):.2f}"/>' for m in y_marks)
    paths = []
    for line in lines:
        spots = [f"{x(a):.2f} {y(b):.2f}" for a, b in zip(line.xs, line.ys, strict=True)]
        paths.append(f'<polyline class="line {escape(line.kind)}" points="{", ".join(spots)}"/>')
        if len(spots) <= 60:  # a zero-length stroke with round ends is a dot that does not stretch
            dots = "".join(f"M{spot}h0" for spot in spots)
            paths.append(f'<path class="spots {escape(line.kind)}" d="{dots}"/>')
    labels = "".join(f'<span class="ytick" style="top:{y(m):.2f}%">{number(m)}</span>' for m in y_marks)
    for mark in x_marks:
        edge = " first" if x(mark) < 2 else " last" if x(mark) > 92 else ""
        labels += f'<span class="xtick{edge}" style="left:{x(mark):.2f}%">{number(mark)}</span>'
    labels += f'<span class="xlabel">{escape(x_label)}</span>'
    drawing = f'<svg viewBox="0 0 100 100" preserveAspectRatio="none">{grid}{"".join(paths)}</svg>'
    return Markup(f'<div class="plot" role="img" aria-label="{escape(description)}">{drawing}{labels}</div>')
