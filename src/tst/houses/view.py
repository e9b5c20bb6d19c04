"""`tst house view`: a house from above and from inside, in one picture."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tst.errors import UserError
from tst.files import atomic_path
from tst.houses.drawing import draw_plan
from tst.houses.house import House, HouseConfig, build
from tst.houses.light import bake
from tst.houses.renderer import Renderer, View
from tst.houses.walks import dense_walk
from tst.space.camera import Camera

TILE, GAP, COLUMNS = 224, 6, 4


def view(config: HouseConfig, out: Path, frames: int = 12, home: Path | None = None) -> Path:
    """Draw the plan with furniture, and `frames` pictures from inside; returns the PNG written.

    Raises:
        UserError: `out` exists or is no PNG, or the house is impossible.
    """
    out = Path(out)
    if out.suffix.lower() != ".png":
        raise UserError(f"{out}: the picture is a PNG. Choose a name that ends in .png.")
    if out.exists():
        raise UserError(f"{out}: exists. Choose another name, or remove it.")
    if frames < 1:
        raise UserError(f"--frames {frames}: nothing to draw. Use a number above 0.")
    house = build(config, home)
    sheet = picture(house, views(house, frames))
    with atomic_path(out) as temporary:
        Image.fromarray(sheet).save(temporary)
    return out


def views(house: House, frames: int, rays: int = 32) -> list[View]:
    """Pictures from inside, from places all over the house."""
    rng = np.random.default_rng([house.config.seed, 0])
    renderer = Renderer(bake(house.scene(), rays=rays, seed=house.config.seed), Camera.from_fov(TILE, TILE, 80))
    return [renderer.render(pose) for pose in dense_walk(house, rng, frames)]


def picture(house: House, seen: list[View]) -> np.ndarray:
    """The plan on the left, the pictures beside it, a title above; uint8 (H, W, 3)."""
    rows = -(-len(seen) // COLUMNS)
    height = rows * (TILE + GAP)
    plan = Image.fromarray(draw_plan(house.plan, house.things, width=900))
    scale = min(height / plan.height, 1.0)
    plan = plan.resize((round(plan.width * scale), round(plan.height * scale)), Image.Resampling.LANCZOS)
    head = 34
    sheet = Image.new("RGB", (plan.width + GAP * 2 + COLUMNS * (TILE + GAP), head + height), (255, 255, 255))
    area = sum(room.area for room in house.plan.rooms)
    title = f"house {house.config.seed}: {len(house.plan.rooms)} rooms, {area:.0f} m2, {len(house.things)} things"
    ImageDraw.Draw(sheet).text((10, 8), title, (20, 20, 20), ImageFont.load_default(15))
    sheet.paste(plan, (GAP, head))
    for index, item in enumerate(seen):
        row, column = divmod(index, COLUMNS)
        sheet.paste(
            Image.fromarray(item.rgb), (plan.width + 2 * GAP + column * (TILE + GAP), head + row * (TILE + GAP))
        )
    return np.asarray(sheet)
