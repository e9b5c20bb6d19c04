"""A contact sheet: a few frames of a Space in all their modalities and sensors, in one picture."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from tst.errors import UserError
from tst.files import atomic_path
from tst.space.images import made_by
from tst.space.sensors import SENSORS, curves, sensors, window
from tst.space.space import Space, Walk

if TYPE_CHECKING:
    from tst.sequences.annotations import Box

TILE_HEIGHT = 160
CURVES_HEIGHT = 64
SECONDS = 1.0
"""Length of the curves: what was measured up to the frame."""
GAP = 6
MARGIN = 90
INK, PAPER = (30, 30, 30), (255, 255, 255)
FAINT, RULE = (120, 120, 120), (205, 205, 205)
AXES = ((200, 60, 50), (40, 140, 60), (50, 90, 200), INK)
"""Colours of the curves x, y, z, w; a single curve has the last."""
FRAME = (255, 221, 0)
"""Boxes, and what their names stand on."""
SMOOTH = 3
"""Curves are drawn this much larger and shrunk."""
TAG = "tst contact sheet"


def show(space: Space, out: Path | None = None, frames: int = 8) -> Path:
    """Draw `frames` frames, spread evenly over the Space: a row for each modality and sensor, and a legend of classes.

    Boxes of `annotations/boxes.json` that `det` would take (score 0.6 or more) are drawn on the RGB.

    Args:
        space: the Space.
        out: the PNG to write; SPACE/contact-sheet.png by default. An earlier contact sheet there is renewed.
        frames: how many frames.

    Returns:
        The file written.

    Raises:
        UserError: `out` is another file of the user's, or a frame or a file of boxes is damaged.
    """
    from tst.modalities import MODALITIES
    from tst.modalities.semantic import ClassMask

    out = Path(out) if out is not None else space.path / "contact-sheet.png"
    if out.exists() and not made_by(TAG, out):
        raise UserError(f"{out}: exists and is not a contact sheet. Choose another file with --out FILE.")
    if out.suffix.lower() != ".png":
        raise UserError(f"{out}: a contact sheet is a PNG. Choose a name that ends in .png.")
    if frames < 1:
        raise UserError(f"--frames: {frames} frames cannot be shown. Use a number above 0.")
    if len(space) == 0:
        raise UserError(f"{space.path}: has no frames. Read a capture into it.")
    every = space.frames()
    chosen = [every[n] for n in np.unique(np.linspace(0, len(every) - 1, min(frames, len(every))).round().astype(int))]
    has = {walk.name: set(walk.modalities()) for walk in space.walks.values()}
    modalities = [name for name in MODALITIES if any(name in has[walk.name] for walk, _ in chosen)]
    widths = [max(1, round(TILE_HEIGHT * walk.size(i)[1] / walk.size(i)[0])) for walk, i in chosen]
    legend = _legend(space) if "semantic" in modalities else []
    plots = list(_plots(chosen))
    boxes = _boxes(chosen)

    head, row = 40, TILE_HEIGHT + GAP
    foot = head + row * len(modalities) + (CURVES_HEIGHT + GAP) * len(plots)
    width = MARGIN + sum(widths) + GAP * len(widths)
    per_line = max(1, (width - MARGIN) // 150)
    height = foot + (-(-len(legend) // per_line)) * 20 + 10
    sheet = Image.new("RGB", (width, height), PAPER)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for number, name in enumerate(modalities):
        pen.text((8, head + row * number + TILE_HEIGHT // 2), name, INK, font, anchor="lm")
    pictures = {
        name: _pictures(name, [(w, i) if name in has[w.name] else None for w, i in chosen]) for name in modalities
    }
    left = MARGIN
    for place, ((walk, index), tile_width) in enumerate(zip(chosen, widths, strict=True)):
        label = f"{walk.name}\n{walk.ids[index]}" + (f" · {part}" if (part := _part(walk, index)) else "")
        _text_within(pen, (left, 4), label, tile_width, font)
        for number, name in enumerate(modalities):
            picture = pictures[name][place]
            if picture is not None:
                mask = MODALITIES[name].is_label or isinstance(MODALITIES[name], ClassMask)
                smooth = Image.Resampling.NEAREST if mask else Image.Resampling.BILINEAR
                tile = picture.resize((tile_width, TILE_HEIGHT), smooth)
                if name == "rgb":
                    _draw_boxes(tile, boxes.get((walk.name, index), []))
                sheet.paste(tile, (left, head + row * number))
        for number, plot in enumerate(plots):
            curve = plot.tile(walk.name, index, tile_width)
            sheet.paste(curve, (left, foot - (CURVES_HEIGHT + GAP) * (len(plots) - number)))
        left += tile_width + GAP
    for number, plot in enumerate(plots):
        plot.label(pen, foot - (CURVES_HEIGHT + GAP) * (len(plots) - number), font)
    for number, (name, colour) in enumerate(legend):
        x, y = MARGIN + number % per_line * 150, foot + number // per_line * 20
        pen.rectangle((x, y + 2, x + 14, y + 15), colour, INK)
        pen.text((x + 20, y + 9), name, INK, font, anchor="lm")
    tag = PngInfo()
    tag.add_text("Software", TAG)
    with atomic_path(out) as temporary:
        sheet.save(temporary, pnginfo=tag)
    return out


@dataclass
class _Plot:
    """A row of curves that share a unit and a scale; `values` (T, curves) by walk name and row."""

    name: str
    unit: str
    values: dict[tuple[str, int], np.ndarray] = field(default_factory=dict)

    def scale(self) -> tuple[float, float]:
        """Lowest and highest value, a little apart; (-1, 1) where nothing is known."""
        every = np.concatenate([values.ravel() for values in self.values.values()])
        if np.isnan(every).all():
            return -1.0, 1.0
        low, high = float(np.nanmin(every)), float(np.nanmax(every))
        margin = max(0.06 * (high - low), 1e-6 * max(abs(low), abs(high), 1.0))
        return low - margin, high + margin

    def tile(self, walk: str, row: int, width: int) -> Image.Image:
        """The curves of one frame; empty where the walk has none."""
        large = Image.new("RGB", (width * SMOOTH, CURVES_HEIGHT * SMOOTH), PAPER)
        if (walk, row) in self.values:
            values, (low, high) = self.values[walk, row], self.scale()
            pen = ImageDraw.Draw(large)
            y = (high - values) / (high - low) * (large.height - 1)
            x = (np.arange(len(values)) + 0.5) / len(values) * large.width
            pen.rectangle((0, 0, large.width - 1, large.height - 1), None, RULE, SMOOTH)
            if low < 0 < high:
                zero = high / (high - low) * (large.height - 1)
                pen.line((0, zero, large.width, zero), RULE, SMOOTH)
            for number, curve in enumerate(y.T):
                colour = AXES[number] if y.shape[1] > 1 else AXES[-1]
                known = np.flatnonzero(np.isfinite(curve))
                for run in np.split(known, np.flatnonzero(np.diff(known) > 1) + 1):
                    if len(run):
                        points = list(zip(x[run], curve[run], strict=True))
                        pen.line(points if len(run) > 1 else points * 2, colour, SMOOTH + 1, "curve")
        return large.resize((width, CURVES_HEIGHT), Image.Resampling.BOX)

    def label(self, pen: ImageDraw.ImageDraw, top: int, font: ImageFont.ImageFont | ImageFont.FreeTypeFont) -> None:
        """Name, unit, scale and the colours of the curves, left of the row at `top`."""
        small = ImageFont.load_default(10)
        low, high = self.scale()
        _text_within(pen, (8, top + 2), f"{self.name}, {SECONDS:g} s", MARGIN - 12, font)
        _text_within(pen, (8, top + 18), self.unit, MARGIN - 12, small, FAINT)
        _text_within(pen, (8, top + 32), f"{low:.3g} to {high:.3g}", MARGIN - 12, small, FAINT)
        count = next(iter(self.values.values())).shape[1]
        for number, letter in enumerate("xyzw"[:count] if count > 1 else ""):
            pen.text((8 + 14 * number, top + 46), letter, AXES[number], small)


def _plots(chosen: list[tuple[Walk, int]]) -> Iterator[_Plot]:
    """One for each unit of each sensor that a walk has, in the order of SENSORS."""
    rows: dict[str, list[int]] = {}
    for walk, row in chosen:
        rows.setdefault(walk.name, []).append(row)
    walks = {walk.name: walk for walk, _ in chosen}
    for name, units in SENSORS.items():
        columns = list(units)
        plots = {
            key: _Plot(name if len(curves(name)) == 1 else key, units[group[0]].split(",")[0])
            for key, group in curves(name).items()
        }
        for walk in walks.values():
            if name not in sensors(walk):
                continue
            frames = np.array(rows[walk.name])
            values, _ = window(walk, name, SECONDS, 8000.0 if name == "audio" else 100.0, frames)
            for key, group in curves(name).items():
                for row, shown in zip(rows[walk.name], values[:, :, [columns.index(c) for c in group]], strict=True):
                    plots[key].values[walk.name, row] = shown
        yield from (plot for plot in plots.values() if plot.values)


def _pictures(name: str, frames: list[tuple[Walk, int] | None]) -> list[Image.Image | None]:
    """One modality of the frames that have it, in colours that can be compared."""
    from tst.modalities import MODALITIES

    arrays = [walk.read(name, index) for walk, index in filter(None, frames)]
    drawn = iter(MODALITIES[name].draw_together(arrays))
    return [Image.fromarray(next(drawn)) if frame else None for frame in frames]


def _boxes(chosen: list[tuple[Walk, int]]) -> dict[tuple[str, int], list["Box"]]:
    """Boxes by walk name and row."""
    from tst.sequences.annotations import read_boxes

    found: dict[tuple[str, int], list[Box]] = {}
    for walk in {walk.name: walk for walk, _ in chosen}.values():
        path = walk.path / "annotations" / "boxes.json"
        for box in read_boxes(path, walk) if path.is_file() else ():
            found.setdefault((walk.name, box.row), []).append(box)
    return found


def _draw_boxes(tile: Image.Image, boxes: list["Box"]) -> None:
    """Thin lines, named above the box; the largest first, and a name that would hide another's is left out."""
    pen, font = ImageDraw.Draw(tile), ImageFont.load_default(9)
    size = np.array(tile.size * 2) - 1
    boxes = [box for box in boxes if box.corners[0] <= box.corners[2] and box.corners[1] <= box.corners[3]]
    corners = [np.round(np.clip(box.corners, 0, 1) * size).astype(int).tolist() for box in boxes]
    for corner in corners:
        pen.rectangle(corner, None, FRAME)
    taken: list[tuple[float, float, float, float]] = []
    areas = [(right - left) * (bottom - top) for left, top, right, bottom in corners]
    for number in np.argsort(areas)[::-1]:
        (left, top, _, _), box = corners[number], boxes[number]
        width = pen.textlength(box.name, font) + 3
        x, y = max(0, min(left, tile.width - width)), max(0, top - 10)
        place = (x, y, x + width, y + 10)
        if not any(x <= c and a <= place[2] and y <= d and b <= place[3] for a, b, c, d in taken):
            pen.rectangle(place, FRAME)
            pen.text((x + 2, y + 5), box.name, INK, font, anchor="lm")
            taken.append(place)


def _part(walk: Walk, index: int) -> str | None:
    return walk.frames["part"][index].as_py()


def _text_within(
    pen: ImageDraw.ImageDraw,
    at: tuple[int, int],
    text: str,
    width: int,
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
    colour: tuple[int, int, int] = INK,
) -> None:
    """Draw lines, each cut to `width`."""
    for number, line in enumerate(text.split("\n")):
        while len(line) > 1 and pen.textlength(line, font) > width:
            line = line[:-2] + "…"  # noqa: PLW2901
        pen.text((at[0], at[1] + 16 * number), line, colour, font)


def _legend(space: Space) -> list[tuple[str, tuple[int, int, int]]]:
    """(class, colour) as semantic.draw paints it."""
    from tst.modalities import MODALITIES

    labels = [*enumerate(space.classes or []), (space.ignore_index, "(no label)")]
    colours = MODALITIES["semantic"].draw(np.array([[index for index, _ in labels]], np.uint8))[0]
    return [(name, (int(r), int(g), int(b))) for (_, name), (r, g, b) in zip(labels, colours, strict=True)]
