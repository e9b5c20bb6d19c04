"""A contact sheet: a few frames of a Space in all their modalities, in one picture."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from tst.errors import UserError
from tst.files import atomic_path
from tst.space.space import Space, Walk

TILE_HEIGHT = 160
GAP = 6
MARGIN = 90
INK, PAPER = (30, 30, 30), (255, 255, 255)
TAG = "tst contact sheet"


def show(space: Space, out: Path | None = None, frames: int = 8) -> Path:
    """Draw `frames` frames, spread evenly over the Space: a row for each modality, and a legend of classes.

    Args:
        space: the Space.
        out: the PNG to write; SPACE/contact-sheet.png by default. An earlier contact sheet there is renewed.
        frames: how many frames.

    Returns:
        The file written.

    Raises:
        UserError: `out` is another file of the user's, or a frame is damaged.
    """
    from tst.modalities import MODALITIES

    out = Path(out) if out is not None else space.path / "contact-sheet.png"
    if out.exists() and not _is_ours(out):
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

    head, row = 40, TILE_HEIGHT + GAP
    width = MARGIN + sum(widths) + GAP * len(widths)
    per_line = max(1, (width - MARGIN) // 150)
    height = head + row * len(modalities) + (-(-len(legend) // per_line)) * 20 + 10
    sheet = Image.new("RGB", (width, height), PAPER)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for number, name in enumerate(modalities):
        pen.text((8, head + row * number + TILE_HEIGHT // 2), name, INK, font, anchor="lm")
    left = MARGIN
    for (walk, index), tile_width in zip(chosen, widths, strict=True):
        label = f"{walk.name}\n{walk.ids[index]}" + (f" · {part}" if (part := _part(walk, index)) else "")
        _text_within(pen, (left, 4), label, tile_width, font)
        for number, name in enumerate(modalities):
            if name in has[walk.name]:
                picture = Image.fromarray(MODALITIES[name].draw(walk.read(name, index)))
                smooth = Image.Resampling.NEAREST if MODALITIES[name].is_label else Image.Resampling.BILINEAR
                sheet.paste(picture.resize((tile_width, TILE_HEIGHT), smooth), (left, head + row * number))
        left += tile_width + GAP
    for number, (name, colour) in enumerate(legend):
        x, y = MARGIN + number % per_line * 150, head + row * len(modalities) + number // per_line * 20
        pen.rectangle((x, y + 2, x + 14, y + 15), colour, INK)
        pen.text((x + 20, y + 9), name, INK, font, anchor="lm")
    tag = PngInfo()
    tag.add_text("Software", TAG)
    with atomic_path(out) as temporary:
        sheet.save(temporary, pnginfo=tag)
    return out


def _part(walk: Walk, index: int) -> str | None:
    return walk.frames["part"][index].as_py()


def _text_within(
    pen: ImageDraw.ImageDraw,
    at: tuple[int, int],
    text: str,
    width: int,
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
) -> None:
    """Draw lines, each cut to `width`."""
    for number, line in enumerate(text.split("\n")):
        while len(line) > 1 and pen.textlength(line, font) > width:
            line = line[:-2] + "…"  # noqa: PLW2901
        pen.text((at[0], at[1] + 16 * number), line, INK, font)


def _legend(space: Space) -> list[tuple[str, tuple[int, int, int]]]:
    """(class, colour) as semantic.draw paints it."""
    from tst.modalities import MODALITIES

    labels = [*enumerate(space.classes or []), (space.ignore_index, "(no label)")]
    colours = MODALITIES["semantic"].draw(np.array([[index for index, _ in labels]], np.uint8))[0]
    return [(name, (int(r), int(g), int(b))) for (_, name), (r, g, b) in zip(labels, colours, strict=True)]


def _is_ours(path: Path) -> bool:
    try:
        with Image.open(path) as image:
            return image.info.get("Software") == TAG
    except (OSError, ValueError, SyntaxError):
        return False
