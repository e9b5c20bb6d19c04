"""Pictures of floor plans, for reports."""

from collections.abc import Iterable
from typing import Protocol

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tst.houses.doors import Leaf, leaves
from tst.houses.plan import Opening, Plan, RoomKind

COLOURS: dict[RoomKind, tuple[int, int, int]] = {
    "living room": (250, 226, 178),
    "kitchen": (247, 200, 170),
    "dining room": (244, 214, 196),
    "bedroom": (196, 215, 240),
    "bathroom": (180, 226, 226),
    "hall": (232, 230, 224),
    "office": (208, 226, 196),
    "storage room": (216, 208, 220),
}
WALL, GLASS, LINE, TEXT, THING = (60, 58, 56), (120, 190, 235), (120, 90, 60), (50, 50, 50), (150, 140, 130)
MARGIN = 0.4  # metres around the house
OVERHEAD = 1.9  # metres: what begins above is not drawn


class Thing(Protocol):
    """What stands in a house."""

    @property
    def bounds(self) -> np.ndarray:
        """Lowest and highest corner, (2, 3) metres."""
        ...

    @property
    def category(self) -> str:
        """One of `categories.CATEGORIES`."""
        ...


def draw_plan(plan: Plan, things: Iterable[Thing] = (), width: int = 900) -> np.ndarray:
    """The plan seen from above, y up, with the kind and floor area of each room, uint8 (H, `width`, 3) sRGB.

    `things` are drawn as rectangles, the lower first, with their categories where there is room for them; what hangs
    overhead is left out.
    """
    sheet = _Sheet(plan, width)
    for room in plan.rooms:
        sheet.polygon(room.outline, WALL, grow=plan.thickness)
    for room in plan.rooms:
        sheet.polygon(room.inner, COLOURS[room.kind])
    for opening in plan.openings:
        sheet.opening(opening, plan.thickness)
    for leaf in leaves(plan):
        sheet.leaf(leaf)
    for thing in sorted(things, key=lambda thing: float(thing.bounds[0, 2])):
        if thing.bounds[0, 2] < OVERHEAD:
            sheet.thing(thing)
    for room in plan.rooms:
        sheet.label(plan, room.index)
    return np.asarray(sheet.image)


class _Sheet:
    """A picture with the metres of a plan."""

    def __init__(self, plan: Plan, width: int) -> None:
        corners = np.concatenate([room.outline for room in plan.rooms])
        self.low, self.high = corners.min(0) - MARGIN, corners.max(0) + MARGIN
        self.scale = width / (self.high[0] - self.low[0])
        self.image = Image.new("RGB", (width, round((self.high[1] - self.low[1]) * self.scale)), (255, 255, 255))
        self.draw = ImageDraw.Draw(self.image)
        self.font = ImageFont.load_default(max(9, round(0.2 * self.scale)))
        self.small = ImageFont.load_default(max(7, round(0.11 * self.scale)))

    def points(self, metres: np.ndarray) -> list[tuple[float, float]]:
        x = (metres[:, 0] - self.low[0]) * self.scale
        y = (self.high[1] - metres[:, 1]) * self.scale
        return [(float(a), float(b)) for a, b in zip(x, y, strict=True)]

    def polygon(self, metres: np.ndarray, colour: tuple[int, int, int], grow: float = 0.0) -> None:
        points = self.points(metres)
        self.draw.polygon(points, fill=colour)
        if grow:
            self.draw.line([*points, points[0], points[1]], fill=colour, width=max(1, round(grow * self.scale)))

    def opening(self, opening: Opening, thickness: float) -> None:
        half = thickness / 2
        ends = np.array([[opening.low, opening.at - half], [opening.high, opening.at + half]])
        low, high = ends if opening.axis == 0 else ends[:, ::-1]
        hole = np.array([low, [high[0], low[1]], high, [low[0], high[1]]])
        fill = {"window": GLASS, "front door": LINE}.get(opening.kind, COLOURS["hall"])
        self.draw.polygon(self.points(hole), fill=fill, outline=WALL if opening.kind == "window" else None)

    def leaf(self, leaf: Leaf) -> None:
        angles = leaf.start + np.linspace(0, leaf.angle, 16)
        arc = leaf.hinge + leaf.width * np.stack([np.cos(angles), np.sin(angles)], 1)
        self.draw.line(self.points(arc), fill=LINE, width=1)
        self.draw.line(self.points(np.stack([leaf.hinge, arc[-1]])), fill=LINE, width=max(1, round(0.04 * self.scale)))

    def thing(self, thing: Thing) -> None:
        (x0, y0, _), (x1, y1, _) = thing.bounds
        corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
        self.draw.polygon(self.points(corners), outline=THING, fill=(238, 234, 228))
        middle = self.points(np.array([[(x0 + x1) / 2, (y0 + y1) / 2]]))[0]
        left, top, right, bottom = self.small.getbbox(thing.category)
        if right - left < (x1 - x0) * self.scale and bottom - top < (y1 - y0) * self.scale:
            self.draw.text(middle, thing.category, fill=THING, font=self.small, anchor="mm")

    def label(self, plan: Plan, index: int) -> None:
        room = plan.rooms[index]
        xs, ys = (np.arange(a + 0.05, b, 0.1) for a, b in zip(room.inner.min(0), room.inner.max(0), strict=True))
        points = np.stack(np.meshgrid(xs, ys, indexing="ij"), -1).reshape(-1, 2)
        points = points[room.contains(points)]
        middle = points[np.abs(points - points.mean(0)).sum(1).argmin()]
        text = "\n".join([*room.kind.split(" "), f"{room.area:.1f} m2"])
        place = self.points(middle[None])[0]
        self.draw.multiline_text(place, text, fill=TEXT, font=self.font, anchor="mm", align="center", spacing=1)
