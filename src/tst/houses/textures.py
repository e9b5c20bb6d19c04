"""Procedural textures of floors, walls, furniture, pictures and rugs.

All repeat without a seam, are 256 pixels square or less, and depend on the generator alone. Colours are sRGB, 0 to 1.
Row 0 is the top of the image; the first axis of the surface's coordinates runs along the columns.
"""

import colorsys
import itertools
import math

import cv2
import numpy as np

from tst.houses.mesh import Colour, Texture

SIDE = 256


def noise(rng: np.random.Generator, rows: int, columns: int, side: int = SIDE) -> np.ndarray:
    """Smooth noise that repeats, (side, side), about -1 to 1, with `rows` x `columns` bumps."""
    knots = rng.uniform(-1, 1, (rows, columns))

    def along(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        at = np.arange(side) * count / side
        low = at.astype(int)
        t = at - low
        return low, (low + 1) % count, t * t * (3 - 2 * t)

    y0, y1, ty = along(rows)
    x0, x1, tx = along(columns)
    upper = knots[y0][:, x0] * (1 - tx) + knots[y0][:, x1] * tx
    lower = knots[y1][:, x0] * (1 - tx) + knots[y1][:, x1] * tx
    return upper * (1 - ty[:, None]) + lower * ty[:, None]


def clouds(rng: np.random.Generator, rows: int, columns: int, octaves: int = 4, side: int = SIDE) -> np.ndarray:
    """Noise of several sizes, each half as strong as the one before, (side, side), about -1 to 1."""
    total = np.zeros((side, side))
    for octave in range(octaves):
        scale = 2**octave
        total += noise(rng, min(rows * scale, side), min(columns * scale, side), side) / scale
    return total / 1.5


def _texture(colour: Colour | np.ndarray, shade: np.ndarray, size: float) -> Texture:
    """The colour (3,) or (H, W, 3), brightened by the factor 1 + `shade` (H, W)."""
    pixels = np.asarray(colour, float) * (1 + shade)[..., None]
    return Texture((np.clip(pixels, 0, 1) * 255 + 0.5).astype(np.uint8), size)


def _mixed(first: Colour | np.ndarray, second: Colour | np.ndarray, amount: np.ndarray) -> np.ndarray:
    """Colours (H, W, 3): `first` where `amount` (H, W) is 0, `second` where it is 1."""
    weight = np.clip(amount, 0, 1)[..., None]
    return np.asarray(first, float) * (1 - weight) + np.asarray(second, float) * weight


def _pixels(side: int = SIDE) -> tuple[np.ndarray, np.ndarray]:
    """Row and column of every pixel, each (side, side)."""
    rows, columns = np.mgrid[:side, :side]
    return rows, columns


def _grain(rng: np.random.Generator, side: int = SIDE) -> np.ndarray:
    """Fibres along the columns' axis, (side, side), about -1 to 1."""
    return 0.5 * noise(rng, side // 3, 3, side) + 0.3 * noise(rng, side, 5, side) + 0.4 * noise(rng, 12, 2, side)


def wood_grain(rng: np.random.Generator, colour: Colour, strength: float = 0.16, size: float = 0.8) -> Texture:
    """A board: rings warped along their length. The grain runs along the first texture coordinate."""
    rows, _ = _pixels()
    rings = int(rng.integers(5, 10))
    phase = rows / SIDE * rings + 0.8 * noise(rng, 3, 2) + 0.3 * noise(rng, 6, 4)
    saw = phase - np.floor(phase)
    return _texture(colour, strength * (0.7 * (saw**2 - 0.35) + 0.7 * _grain(rng)), size)


def planks(
    rng: np.random.Generator, colour: Colour, rows: int = 8, size: float = 1.6, contrast: float = 0.14
) -> Texture:
    """A floor of long boards, `rows` in one repetition, each of its own shade, with dark joints."""
    y, x = _pixels()
    row = y * rows // SIDE
    shift = rng.integers(0, SIDE, rows)[row]
    half = ((x + shift) % SIDE) * 2 // SIDE
    shade = rng.uniform(-1, 1, (rows, 2))[row, half]
    grain = _grain(rng)[(y + 37 * row) % SIDE, (x + 91 * half + 53 * row) % SIDE]
    joint = (y * rows % SIDE < rows) | ((x + shift) % (SIDE // 2) < 1)
    warm = 1 + 0.04 * np.stack([shade, 0 * shade, -shade], -1)
    return _texture(np.asarray(colour) * warm, np.where(joint, -0.42, 0.14 * (0.7 * shade + 0.7 * grain)), size)


def parquet(rng: np.random.Generator, colour: Colour, length: int = 4, width: float = 0.08) -> Texture:
    """A herringbone floor of sticks `width` metres wide and `length` times as long; `length` 2, 4 or 8."""
    count = 2 * length
    cell = SIDE // count
    y, x = _pixels()
    j, i = y // cell, x // cell
    k = (i - j) % count
    level = k < length
    start = np.where(level, (i - k) % count, (j - (count - 1 - k)) % count)
    stick = np.where(level, j * count + start, (count + i) * count + start)
    shade = rng.uniform(-1, 1, 2 * count * count)[stick]
    grain = _grain(rng)
    fibres = np.where(level, grain, grain.T)
    across = np.where(level, y % cell, x % cell)
    end = np.where(level, (k == 0) & (x % cell < 1), (k == count - 1) & (y % cell < 1))
    return _texture(colour, np.where((across < 1) | end, -0.4, 0.13 * shade + 0.1 * fibres), count * width)


def tiles(
    rng: np.random.Generator,
    colour: Colour,
    grout: Colour = (0.72, 0.71, 0.69),
    columns: int = 4,
    rows: int = 4,
    size: float = 1.2,
    second: Colour | None = None,
    bond: bool = False,
) -> Texture:
    """Ceramic tiles, `columns` x `rows` in a repetition; chequered with `second`, every other row shifted with `bond`.

    `bond` and `second` need an even number of rows, `second` an even number of columns too.
    """
    y, x = _pixels()
    row = y * rows // SIDE
    moved = (x + np.where(bond & (row % 2 == 1), SIDE // (2 * columns), 0)) % SIDE
    column = moved * columns // SIDE
    shade = 0.035 * rng.uniform(-1, 1, (rows, columns))[row, column] + 0.02 * clouds(rng, 4, 4)
    base = np.broadcast_to(np.asarray(colour, float), (SIDE, SIDE, 3))
    if second is not None:
        base = _mixed(base, second, ((row + column) % 2).astype(float))
    gap = max(2.0, 0.004 / size * SIDE)
    joint = (y * rows % SIDE < gap * rows) | (moved * columns % SIDE < gap * columns)
    return _texture(np.where(joint[..., None], grout, base), np.where(joint, 0.0, shade), size)


def plaster(rng: np.random.Generator, colour: Colour, strength: float = 0.03, size: float = 2.0) -> Texture:
    """A painted wall: faint clouds and fine grain."""
    return _texture(colour, strength * (0.6 * clouds(rng, 4, 4, 5) + 0.3 * rng.uniform(-1, 1, (SIDE, SIDE))), size)


def wallpaper(rng: np.random.Generator, colour: Colour, second: Colour, kind: str = "stripes") -> Texture:
    """Wallpaper in two colours: `stripes`, `damask` (rows of ornaments), `dots` or `leaves`."""
    y, x = _pixels()
    if kind == "stripes":
        count = int(rng.integers(4, 9))
        phase = (x * count / SIDE) % 1
        amount = ((phase < 0.5) & (phase > 0.04)).astype(float)
    elif kind == "dots":
        cell = SIDE // 8
        moved = x + np.where(y // cell % 2 == 1, cell // 2, 0)
        amount = (np.hypot(moved % cell - cell / 2, y % cell - cell / 2) < cell * 0.2).astype(float)
    elif kind == "damask":
        cell = SIDE // 2
        moved = x + np.where(y // cell % 2 == 1, cell // 2, 0)
        u, v = (moved % cell) / cell - 0.5, (y % cell) / cell - 0.5
        radius, angle = np.hypot(u * 1.3, v), np.arctan2(v, u)
        petals = 0.26 + 0.10 * np.cos(4 * angle) + 0.05 * np.cos(12 * angle)
        amount = ((radius < petals) & (radius > 0.45 * petals) | (radius < 0.07)).astype(float)
    else:
        assert kind == "leaves", kind
        amount = np.zeros((SIDE, SIDE))
        for centre_y, centre_x, angle in rng.uniform(0, (SIDE, SIDE, math.pi), (26, 3)):
            dy = (y - centre_y + SIDE / 2) % SIDE - SIDE / 2
            dx = (x - centre_x + SIDE / 2) % SIDE - SIDE / 2
            u = (dx * math.cos(angle) + dy * math.sin(angle)) / 26
            v = (dy * math.cos(angle) - dx * math.sin(angle)) / 9
            amount[(np.abs(v) < 1 - u * u) & (np.abs(u) < 1) & (np.abs(v) > 0.08)] = 1
    return _texture(_mixed(colour, second, 0.9 * amount), 0.02 * clouds(rng, 6, 6), 0.8)


def brick(rng: np.random.Generator, colour: Colour, mortar: Colour = (0.70, 0.67, 0.63)) -> Texture:
    """A brick wall in stretcher bond."""
    rows, columns = 12, 4
    y, x = _pixels()
    row = y * rows // SIDE
    moved = (x + np.where(row % 2 == 1, SIDE // (2 * columns), 0)) % SIDE
    column = moved * columns // SIDE
    rough = clouds(rng, 16, 16, 4)
    shade = 0.22 * rng.uniform(-1, 1, (rows, columns))[row, column] + 0.12 * rough
    joint = ((y * rows % SIDE) / rows < 2.5 + rough) | ((moved * columns % SIDE) / columns < 2.5 + rough)
    return _texture(np.where(joint[..., None], mortar, colour), np.where(joint, 0.06 * rough, shade), 0.96)


def carpet(rng: np.random.Generator, colour: Colour, size: float = 0.6) -> Texture:
    """Wall-to-wall carpet: short pile."""
    pile = cv2.blur(np.tile(rng.uniform(-1, 1, (SIDE, SIDE)), (3, 3)), (2, 2))[SIDE : 2 * SIDE, SIDE : 2 * SIDE]
    return _texture(colour, 0.2 * pile + 0.05 * clouds(rng, 4, 4), size)


def fabric(
    rng: np.random.Generator, colour: Colour, kind: str = "weave", second: Colour | None = None, size: float = 0.24
) -> Texture:
    """Upholstery: plain `weave`, `stripes`, `check` or `ribs`; `second` is the colour of the pattern."""
    side = 128
    y, x = _pixels(side)
    over = ((x // 2 + y // 2) % 2).astype(float)
    threads = np.where(over > 0, rng.uniform(-1, 1, (side, 1)), rng.uniform(-1, 1, (1, side)))
    shade = 0.05 * (over - 0.5) + 0.05 * threads + 0.03 * noise(rng, 6, 6, side)
    base = np.broadcast_to(np.asarray(colour, float), (side, side, 3))
    other = second or (colour[0] * 0.6, colour[1] * 0.6, colour[2] * 0.6)
    if kind == "stripes":
        base = _mixed(base, other, (x // 16 % 4 == 1).astype(float))
    elif kind == "check":
        base = _mixed(base, other, 0.5 * ((x // 32) % 2 == 1) + 0.5 * ((y // 32) % 2 == 1))
    elif kind == "ribs":
        shade = shade + 0.12 * np.cos(2 * math.pi * x / 16)
    else:
        assert kind == "weave", kind
    return _texture(base, shade, size)


def marble(rng: np.random.Generator, colour: Colour, vein: Colour = (0.45, 0.45, 0.47), size: float = 1.2) -> Texture:
    """Polished stone with veins."""
    y, x = _pixels()
    warp = clouds(rng, 3, 3, 5)
    veins = np.abs(np.sin(2 * math.pi * (x + y) / SIDE + 4.5 * warp))
    amount = 0.6 * np.exp(-veins * 9) + 0.25 * np.clip(clouds(rng, 2, 2, 4), 0, 1)
    return _texture(_mixed(colour, vein, amount), 0.02 * clouds(rng, 8, 8), size)


def terrazzo(rng: np.random.Generator, colour: Colour, chips: tuple[Colour, ...], size: float = 0.6) -> Texture:
    """Stone chips of the given colours in a ground of `colour`; granite when they are small and grey."""
    image = np.broadcast_to(np.asarray(colour, float), (SIDE, SIDE, 3)).copy()
    for _ in range(260):
        centre = rng.uniform(0, SIDE, 2)
        angle = np.sort(rng.uniform(0, 2 * math.pi, 5))
        corners = centre + rng.uniform(2, 8) * np.stack([np.cos(angle), np.sin(angle)], 1)
        chip = chips[int(rng.integers(len(chips)))]
        for dx, dy in itertools.product((-SIDE, 0, SIDE), repeat=2):  # what crosses an edge comes in on the other side
            moved = corners + np.array([dx, dy])
            if (moved.max(0) > 0).all() and (moved.min(0) < SIDE).all():
                cv2.fillPoly(image, [np.rint(moved).astype(np.int32)], chip)
    return _texture(image, 0.03 * clouds(rng, 6, 6), size)


def _harmony(rng: np.random.Generator, count: int) -> list[Colour]:
    """Colours of one picture: two hues and their neighbours, light and dark."""
    hue = rng.random()
    hues = (hue + rng.choice([0.0, 0.05, 0.5, 0.55, 0.1], count)) % 1
    return [
        colorsys.hsv_to_rgb(float(h), float(s), float(v))
        for h, s, v in zip(hues, rng.uniform(0.15, 0.6, count), np.linspace(0.22, 0.94, count), strict=True)
    ]


def _bytes(colours: np.ndarray | Colour) -> np.ndarray:
    """Colours as uint8, which OpenCV draws on with smooth edges."""
    return (np.clip(colours, 0, 1) * 255).astype(np.uint8)


def _ink(colour: np.ndarray | Colour) -> tuple[int, int, int]:
    r, g, b = _bytes(colour)
    return int(r), int(g), int(b)


def picture_print(rng: np.random.Generator) -> Texture:
    """What a framed picture shows: shapes, a landscape, a portrait or a poster with lettering. Covers 0 to 1 once."""
    side = 128
    make = (_abstract, _landscape, _portrait, _poster)[int(rng.integers(4))]
    return _texture(make(rng, side) / 255, 0.04 * clouds(rng, 8, 8, 4, side), 1.0)


def _abstract(rng: np.random.Generator, side: int) -> np.ndarray:
    colours = _harmony(rng, 6)
    image = np.full((side, side, 3), _ink(colours[-1]), np.uint8)
    for _ in range(int(rng.integers(4, 10))):
        colour = _ink(colours[int(rng.integers(5))])
        centre = (int(rng.integers(side)), int(rng.integers(side)))
        extent = int(rng.integers(10, side // 3))
        match int(rng.integers(4)):
            case 0:
                cv2.circle(image, centre, extent, colour, -1, cv2.LINE_AA)
            case 1:
                cv2.rectangle(image, centre, (centre[0] + extent, centre[1] + 2 * extent), colour, -1)
            case 2:
                cv2.circle(image, centre, extent, colour, int(rng.integers(2, 8)), cv2.LINE_AA)
            case _:
                end = (int(rng.integers(side)), int(rng.integers(side)))
                cv2.line(image, centre, end, colour, int(rng.integers(2, 9)), cv2.LINE_AA)
    return image


def _ridge(rng: np.random.Generator, count: int, base: float, height: float) -> np.ndarray:
    """A line of hills that closes on itself: heights (count,) about `base`."""
    angle = np.linspace(0, 2 * math.pi, count, endpoint=False)
    line = np.full(count, float(base))
    for k in range(1, 8):
        line += height / k * np.sin(k * angle + rng.uniform(0, 2 * math.pi)) * rng.uniform(0.3, 1)
    return line


def _landscape(rng: np.random.Generator, side: int) -> np.ndarray:
    y, _ = _pixels(side)
    sky = np.array(rng.choice([[0.55, 0.72, 0.9], [0.95, 0.7, 0.5], [0.75, 0.8, 0.85]]))
    image = _mixed(sky, (0.98, 0.94, 0.86), y / (side * 0.6))
    image = _bytes(image)
    if rng.random() < 0.6:
        sun = (int(rng.integers(20, side - 20)), int(rng.integers(14, 45)))
        cv2.circle(image, sun, int(rng.integers(6, 14)), (255, 238, 190), -1, cv2.LINE_AA)
    near = np.array(rng.choice([[0.2, 0.36, 0.2], [0.16, 0.3, 0.42], [0.5, 0.4, 0.2]]))
    for depth in np.linspace(0, 1, 4):
        line = _ridge(rng, side, side * (0.45 + 0.42 * depth), side * 0.07)
        image[y > line] = _bytes(sky * 0.8 * (1 - depth) + near * depth)
    return image


def _portrait(rng: np.random.Generator, side: int) -> np.ndarray:
    colours = _harmony(rng, 4)
    image = np.full((side, side, 3), _ink(colours[2]), np.uint8)
    skin = np.array(rng.choice([[0.93, 0.76, 0.64], [0.78, 0.57, 0.43], [0.45, 0.3, 0.22]]))
    hair = np.array(rng.choice([[0.15, 0.1, 0.08], [0.5, 0.33, 0.15], [0.8, 0.65, 0.35], [0.6, 0.6, 0.6]]))
    middle = side // 2 + int(rng.integers(-8, 9))

    def oval(x: int, y: int, width: int, height: int, colour: np.ndarray | Colour) -> None:
        cv2.ellipse(image, (x, y), (width, height), 0, 0, 360, _ink(colour), -1, cv2.LINE_AA)

    oval(middle, 48, 27, int(rng.integers(32, 52)), hair)
    oval(middle, side, 46, 40, colours[0])
    cv2.rectangle(image, (middle - 9, 64), (middle + 9, 92), _ink(skin * 0.88), -1)
    oval(middle, 54, 20, 27, skin)
    for eye in (-8, 8):
        oval(middle + eye, 50, 3, 2, (0.1, 0.1, 0.12))
    cv2.line(image, (middle, 52), (middle - 2, 61), _ink(skin * 0.75), 2, cv2.LINE_AA)
    oval(middle, 69, 7, 2, (0.65, 0.25, 0.25))
    return image


GLYPHS = ("25755", "74647", "55755", "44447", "75557", "72222", "57775", "74717", "55552", "65655")
"""Letters of 3 x 5 dots, one digit a row: lettering that no version of a font library changes."""


def _poster(rng: np.random.Generator, side: int) -> np.ndarray:
    colours = _harmony(rng, 5)
    dark = rng.random() < 0.4
    image = np.full((side, side, 3), _ink(colours[0 if dark else -1]), np.uint8)
    ink = _ink(colours[-1 if dark else 0])
    for k, letter in enumerate(rng.permutation(len(GLYPHS))[:4]):
        for row, bits in enumerate(GLYPHS[int(letter)]):
            for column in range(3):
                if int(bits) >> (2 - column) & 1:
                    at = (14 + 26 * k + 7 * column, 10 + 7 * row)
                    cv2.rectangle(image, at, (at[0] + 6, at[1] + 6), ink, -1)
    middle = (side // 2, 76)
    if rng.random() < 0.5:
        cv2.circle(image, middle, 20, _ink(colours[2]), -1, cv2.LINE_AA)
    else:
        cv2.rectangle(image, (20, 58), (side - 20, 94), _ink(colours[2]), -1)
    for row in range(104, side - 6, 7):
        cv2.line(image, (14, row), (int(rng.integers(50, side - 14)), row), ink, 2)
    return image


def rug_pattern(rng: np.random.Generator, colour: Colour, second: Colour, third: Colour, kind: str = "") -> Texture:
    """A rug: `bordered` with a medallion, `stripes`, `geometric`, `rings` or `plain`; any of them without `kind`.

    Covers 0 to 1 once.
    """
    kind = kind or str(rng.choice(["bordered", "stripes", "geometric", "rings", "plain"]))
    y, x = _pixels()
    u, v = (x + 0.5) / SIDE - 0.5, (y + 0.5) / SIDE - 0.5
    rim = np.maximum(np.abs(u), np.abs(v))
    image = np.broadcast_to(np.asarray(colour, float), (SIDE, SIDE, 3)).copy()
    if kind == "bordered":
        lattice = (np.cos(22 * math.pi * u) * np.cos(22 * math.pi * v)) > 0.55
        image[lattice] = second
        diamond = np.abs(u) + np.abs(v)
        waves = 0.03 * np.cos(10 * np.arctan2(v, u))
        for bound, paint in ((0.3, third), (0.26, second), (0.18, colour), (0.1, third)):
            image[diamond + waves < bound] = paint
        image[rim > 0.38] = second
        image[(rim > 0.40) & (rim < 0.47)] = third
        image[(rim > 0.42) & (rim < 0.45) & ((x + y) // 8 % 2 == 0)] = colour
    elif kind == "stripes":
        edges = np.sort(rng.uniform(-0.5, 0.5, 14))
        band = np.searchsorted(edges, v)
        image = np.array([colour, second, third])[np.r_[0, rng.integers(0, 3, 14)][band]]
    elif kind == "geometric":
        count = int(rng.integers(3, 7))
        p, q = (u + 0.5) * count % 1 - 0.5, (v + 0.5) * count % 1 - 0.5
        image[np.abs(p) + np.abs(q) < 0.42] = second
        image[np.abs(p) + np.abs(q) < 0.22] = third
        image[rim > 0.47] = third
    elif kind == "rings":
        paints = np.array([colour, second, colour, third])
        image = paints[(np.hypot(u, v) * float(rng.uniform(8, 16))).astype(int) % 4]
    else:
        assert kind == "plain", kind
        image[(rim > 0.42) & (rim < 0.45)] = second
    pile = 0.1 * rng.uniform(-1, 1, (SIDE, SIDE)) + 0.04 * clouds(rng, 5, 5)
    return _texture(image, pile, 1.0)


def panorama(rng: np.random.Generator) -> np.ndarray:
    """What is seen from a window in all directions, uint8 (256, 512, 3), equirectangular, row 0 up.

    Sky with clouds, hills, then trees or the houses of a street, and the ground. Columns run once round without a seam.
    """
    height, width = 256, 512
    row = np.mgrid[:height, :width][0]
    elevation = (0.5 - (row + 0.5) / height) * math.pi
    blue = np.array(rng.choice([[0.36, 0.58, 0.86], [0.45, 0.62, 0.8], [0.5, 0.56, 0.64]]))
    image = _mixed((0.82, 0.89, 0.95), blue, np.sin(np.clip(elevation, 0, None)) ** 0.6)
    cover = np.concatenate([clouds(rng, 6, 4, 5)] * 2, 1)[:, :width] + rng.uniform(-0.2, 0.5)
    image = _mixed(image, (0.97, 0.97, 0.97), np.where(elevation > 0, np.clip(cover, 0, 1) * 0.9, 0))
    horizon = height / 2
    hills = np.array(rng.choice([[0.45, 0.55, 0.55], [0.4, 0.5, 0.38], [0.5, 0.52, 0.58]]))
    for depth in (0.0, 0.5, 1.0):
        line = horizon - 7 + 5 * depth + _ridge(rng, width, 0, 2.5)
        image[row > line] = hills * (1.1 - 0.25 * depth)
    grass = np.array(rng.choice([[0.36, 0.48, 0.22], [0.45, 0.5, 0.28], [0.5, 0.48, 0.42]]))
    rough = np.concatenate([clouds(rng, 32, 16, 3)] * 2, 1)
    ground = row > horizon
    image[ground] = (grass * (1 + 0.12 * rough)[..., None])[ground]
    if rng.random() < 0.55:
        _street(rng, image)
    image = _bytes(image)
    _trees(rng, image, int(rng.integers(12, 40)))
    return image


def _street(rng: np.random.Generator, image: np.ndarray) -> None:
    """Rows of houses all round, with a road before them."""
    height, width = image.shape[:2]
    image[height // 2 + 16 : height // 2 + 40] = (0.42, 0.42, 0.43)
    image[height // 2 + 12 : height // 2 + 16] = (0.68, 0.67, 0.64)
    foot = height // 2 + 10
    left = 0
    while left < width:
        wide = min(int(rng.integers(26, 60)), width - left)
        storeys = int(rng.integers(2, 5))
        eaves = foot - storeys * 10 - 4
        walls = [[0.85, 0.8, 0.7], [0.7, 0.42, 0.34], [0.9, 0.88, 0.84], [0.75, 0.78, 0.8], [0.88, 0.76, 0.55]]
        wall = np.array(walls[int(rng.integers(len(walls)))]) * rng.uniform(0.85, 1.05)
        roof = np.array(rng.choice([[0.5, 0.27, 0.22], [0.33, 0.33, 0.36], [0.42, 0.34, 0.28]]))
        right = left + wide - (int(rng.integers(2, 10)) if rng.random() < 0.5 else 0)
        image[eaves:foot, left:right] = wall
        for k in range(9):
            inset = k if right - left > 22 else k // 2
            image[eaves - 1 - k, left + inset : right - inset] = roof * (1 + 0.02 * k)
        for storey in range(storeys):
            top = foot - storey * 10 - 10
            for pane in range(left + 4, right - 6, 9):
                image[top : top + 7, pane : pane + 5] = (0.95, 0.95, 0.93)
                image[top + 1 : top + 6, pane + 1 : pane + 4] = (0.25, 0.3, 0.36)
        left += wide


def _trees(rng: np.random.Generator, image: np.ndarray, count: int) -> None:
    """Crowns and trunks about the horizon; those that cross the seam come in again on the other side."""
    height, width = image.shape[:2]
    for nearness in np.sort(rng.uniform(0, 1, count)):
        foot = int(height / 2 + 2 + 16 * nearness)
        tall = int(8 + 22 * nearness * rng.uniform(0.7, 1.3))
        at = int(rng.integers(width))
        leaf = np.array([0.2, 0.34, 0.14]) * rng.uniform(0.7, 1.4) + np.array([0.1, 0.03, 0]) * rng.random()
        blobs = [(rng.uniform(-0.3, 0.3) * tall, rng.uniform(0.5, 1) * tall, 0.25 * tall) for _ in range(7)]
        for around in (-width, 0, width):
            trunk = (at + around, foot)
            cv2.line(image, trunk, (at + around, foot - tall // 2), (76, 59, 43), max(1, tall // 10))
            for k, (dx, dy, radius) in enumerate(blobs):
                paint = _ink(leaf * (0.85 + 0.05 * k))
                cv2.circle(image, (int(at + around + dx), int(foot - dy)), int(max(2, radius)), paint, -1, cv2.LINE_AA)
