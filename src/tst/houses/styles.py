"""Styles: the materials and shapes that the things of one house have in common.

A style is a set of short palettes. `Style.made` draws the few materials of one house from them; the furniture builders
then choose among those, so that a house looks of a piece. The two families differ in colours *and* in shapes: houses of
the family "out" show a model trained on "in" what it has not seen.
"""

import colorsys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from tst.houses import textures
from tst.houses.mesh import Colour, Material
from tst.houses.plan import Plan, RoomKind
from tst.houses.surfaces import HouseSurfaces, RoomSurfaces

Family = Literal["in", "out"]
Make = Callable[[np.random.Generator, Colour], Material]


def jitter(rng: np.random.Generator, colour: Colour, amount: float = 0.03) -> Colour:
    """The colour, moved a little in hue, saturation and brightness."""
    hue, saturation, value = colorsys.rgb_to_hsv(*colour)
    by = rng.uniform(-1, 1, 3) * amount
    r, g, b = colorsys.hsv_to_rgb(
        (hue + 0.2 * by[0]) % 1, float(np.clip(saturation * (1 + 2 * by[1]), 0, 1)), float(np.clip(value + by[2], 0, 1))
    )
    return (r, g, b)


def _wood(rng: np.random.Generator, colour: Colour) -> Material:
    return Material((1, 1, 1), textures.wood_grain(rng, jitter(rng, colour)), gloss=0.12)


def _fabric(rng: np.random.Generator, colour: Colour) -> Material:
    kind = str(rng.choice(["weave", "weave", "weave", "ribs", "stripes", "check"]))
    return Material((1, 1, 1), textures.fabric(rng, jitter(rng, colour), kind))


def _linen(rng: np.random.Generator, colour: Colour) -> Material:
    kind = str(rng.choice(["weave", "weave", "stripes", "check"]))
    colour = jitter(rng, colour)
    second = (colour[0] * 0.8, colour[1] * 0.8, colour[2] * 0.84)
    return Material((1, 1, 1), textures.fabric(rng, colour, kind, second, size=0.4))


def _stone(rng: np.random.Generator, colour: Colour) -> Material:
    if rng.random() < 0.5:
        return Material((1, 1, 1), textures.marble(rng, jitter(rng, colour)), gloss=0.4)
    chips = tuple(jitter(rng, colour, 0.14) for _ in range(4))
    return Material((1, 1, 1), textures.terrazzo(rng, colour, chips, size=0.4), gloss=0.3)


def _plain(gloss: float, amount: float = 0.03, opacity: float = 1.0) -> Make:
    return lambda rng, colour: Material(jitter(rng, colour, amount), gloss=gloss, opacity=opacity)


def _shade(rng: np.random.Generator, colour: Colour) -> Material:
    return Material(jitter(rng, colour), glow=float(rng.uniform(1.2, 2.4)))


ROLES: dict[str, tuple[Make, int]] = {
    "wood": (_wood, 2),
    "painted": (_plain(0.25), 3),
    "fabric": (_fabric, 4),
    "leather": (_plain(0.3), 2),
    "metal": (_plain(0.6), 2),
    "ceramic": (_plain(0.5, 0.015), 2),
    "plastic": (_plain(0.3), 3),
    "glass": (_plain(0.8, 0.01, opacity=0.35), 1),
    "accent": (_plain(0.2, 0.05), 6),
    "paper": (_plain(0.0), 3),
    "plant": (_plain(0.1, 0.06), 3),
    "stone": (_stone, 1),
    "linen": (_linen, 3),
    "shade": (_shade, 2),
}
"""How the materials of each palette are made, and how many of them one house has at most."""

SHARED: dict[str, tuple[Colour, ...]] = {
    "ceramic": ((0.95, 0.95, 0.94), (0.93, 0.92, 0.89)),
    "glass": ((0.82, 0.90, 0.90), (0.88, 0.92, 0.92)),
    "paper": ((0.94, 0.93, 0.90), (0.90, 0.87, 0.80), (0.97, 0.97, 0.97)),
    "plant": ((0.24, 0.42, 0.17), (0.33, 0.50, 0.20), (0.16, 0.33, 0.18), (0.42, 0.53, 0.30)),
    "shade": ((1.0, 0.94, 0.82), (1.0, 0.97, 0.92), (0.99, 0.88, 0.70)),
}
"""Palettes that most styles have in common."""


@dataclass(frozen=True, eq=False)
class Style:
    """One way to furnish a house.

    Attributes:
        name: as in `STYLES`.
        family: which half of every builder's shapes it uses.
        palettes: colours to choose from: the roles of `ROLES`, and floor, carpet, tiles, wall tiles, wall,
            strong wall, bricks, trim.
        brick: probability that a living room has a brick wall.
        papered: probability that a room is papered.
        materials: the materials fixed for one house, by role; empty before `made`.
    """

    name: str
    family: Family
    palettes: Mapping[str, tuple[Colour, ...]]
    brick: float = 0.0
    papered: float = 0.1
    materials: Mapping[str, tuple[Material, ...]] = field(default_factory=dict)

    def made(self, rng: np.random.Generator) -> "Style":
        """The style with the few materials of one house drawn and fixed."""
        materials = {}
        for role, (make, count) in ROLES.items():
            colours = self.palettes[role]
            chosen = rng.permutation(len(colours))[:count]
            materials[role] = tuple(make(rng, colours[int(k)]) for k in chosen)
        return replace(self, materials=materials)

    def _drawn(self, role: str, rng: np.random.Generator) -> Material:
        fixed = self.materials.get(role)
        if fixed:
            return fixed[int(rng.integers(len(fixed)))]
        colours = self.palettes[role]
        return ROLES[role][0](rng, colours[int(rng.integers(len(colours)))])

    def wood(self, rng: np.random.Generator) -> Material:
        """Boards and legs; the grain runs along the first texture coordinate."""
        return self._drawn("wood", rng)

    def painted(self, rng: np.random.Generator) -> Material:
        """Lacquered furniture."""
        return self._drawn("painted", rng)

    def fabric(self, rng: np.random.Generator) -> Material:
        """Upholstery, curtains, towels."""
        return self._drawn("fabric", rng)

    def leather(self, rng: np.random.Generator) -> Material:
        """Leather upholstery."""
        return self._drawn("leather", rng)

    def metal(self, rng: np.random.Generator) -> Material:
        """Legs, handles, taps, lamp stands."""
        return self._drawn("metal", rng)

    def ceramic(self, rng: np.random.Generator) -> Material:
        """Sanitary ware and crockery."""
        return self._drawn("ceramic", rng)

    def plastic(self, rng: np.random.Generator) -> Material:
        """Cases of devices, moulded seats."""
        return self._drawn("plastic", rng)

    def glass(self, rng: np.random.Generator) -> Material:
        """See-through glass."""
        return self._drawn("glass", rng)

    def accent(self, rng: np.random.Generator) -> Material:
        """A saturated colour for small objects."""
        return self._drawn("accent", rng)

    def paper(self, rng: np.random.Generator) -> Material:
        """Pages, cartons, mounts of pictures."""
        return self._drawn("paper", rng)

    def plant(self, rng: np.random.Generator) -> Material:
        """Leaves."""
        return self._drawn("plant", rng)

    def stone(self, rng: np.random.Generator) -> Material:
        """Worktops and table tops of stone."""
        return self._drawn("stone", rng)

    def linen(self, rng: np.random.Generator) -> Material:
        """Bed linen."""
        return self._drawn("linen", rng)

    def shade(self, rng: np.random.Generator) -> Material:
        """A lit lamp shade; its glow is 1 to 3."""
        return self._drawn("shade", rng)

    def shapes(self, variants: tuple[str, ...]) -> tuple[str, ...]:
        """The variants of a builder that this family uses: "in" the first, third, ..., "out" the others.

        A single variant serves both families.
        """
        mine = variants[0 if self.family == "in" else 1 :: 2]
        return mine or variants

    def surfaces(self, plan: Plan, rng: np.random.Generator) -> HouseSurfaces:
        """Materials of all floors, walls, ceilings, doors and windows of a house."""
        dry = self._dry_floor(rng)
        wet = _tiled_floor(rng, self._colour("tiles", rng), self._colour("tiles", rng))
        carpet = Material((1, 1, 1), textures.carpet(rng, jitter(rng, self._colour("carpet", rng))))
        carpeted = rng.random() < 0.4
        plain = Material((1, 1, 1), textures.plaster(rng, jitter(rng, self._colour("wall", rng), 0.015)))
        ceiling = Material((0.95, 0.95, 0.94))
        trim = Material(self._colour("trim", rng), gloss=0.2)
        wall_tiles = _wall_tiles(rng, jitter(rng, self._colour("wall tiles", rng)))
        rooms = []
        for room in plan.rooms:
            is_wet = room.kind in ("bathroom", "kitchen")
            floor = wet if is_wet else carpet if carpeted and room.kind in ("bedroom", "office") else dry
            tiled = {"bathroom": float(rng.choice([1.2, 1.5, 2.1])), "kitchen": float(rng.choice([0.6, 1.5]))}
            height = tiled.get(room.kind, 0.0)
            wall = self._wall(room.kind, plain, rng)
            rooms.append(RoomSurfaces(floor, wall, ceiling, trim, wall_tiles if height else None, height))
        door = self._drawn("wood", rng) if rng.random() < 0.4 else trim
        return HouseSurfaces(
            rooms=tuple(rooms),
            door=door,
            door_frame=trim,
            window_frame=Material(self._colour("trim", rng), gloss=0.3),
            handle=self._drawn("metal", rng),
            pane=Material((1, 1, 1), gloss=0.2, pane=True),
        )

    def _colour(self, palette: str, rng: np.random.Generator) -> Colour:
        colours = self.palettes[palette]
        return colours[int(rng.integers(len(colours)))]

    def _dry_floor(self, rng: np.random.Generator) -> Material:
        colour = jitter(rng, self._colour("floor", rng))
        if rng.random() < 0.65:
            rows = int(rng.choice([8, 10, 13, 16]))
            return Material((1, 1, 1), textures.planks(rng, colour, rows), gloss=0.15)
        return Material((1, 1, 1), textures.parquet(rng, colour), gloss=0.2)

    def _wall(self, kind: RoomKind, plain: Material, rng: np.random.Generator) -> Material:
        chance = rng.random()
        if kind in ("bathroom", "kitchen", "hall", "storage room"):
            return plain
        if kind in ("living room", "office") and chance < self.brick:
            return Material((1, 1, 1), textures.brick(rng, jitter(rng, self._colour("bricks", rng))))
        if chance < self.brick + self.papered:
            base = jitter(rng, self._colour("wall", rng), 0.015)
            strong = self._colour("strong wall", rng)
            second = (0.6 * base[0] + 0.4 * strong[0], 0.6 * base[1] + 0.4 * strong[1], 0.6 * base[2] + 0.4 * strong[2])
            pattern = str(rng.choice(["stripes", "damask", "dots", "leaves"]))
            return Material((1, 1, 1), textures.wallpaper(rng, base, second, pattern))
        if chance < self.brick + self.papered + 0.2:
            return Material((1, 1, 1), textures.plaster(rng, jitter(rng, self._colour("strong wall", rng))))
        if chance < self.brick + self.papered + 0.45:
            return Material((1, 1, 1), textures.plaster(rng, jitter(rng, self._colour("wall", rng), 0.015)))
        return plain


def _tiled_floor(rng: np.random.Generator, colour: Colour, second: Colour) -> Material:
    count = int(rng.choice([2, 4, 6]))
    chequered = second if rng.random() < 0.3 else None
    grout = (colour[0] * 0.75, colour[1] * 0.75, colour[2] * 0.75)
    return Material((1, 1, 1), textures.tiles(rng, colour, grout, count, count, second=chequered), gloss=0.3)


def _wall_tiles(rng: np.random.Generator, colour: Colour) -> Material:
    columns, rows, size, bond = [(4, 4, 0.6, False), (4, 8, 0.8, True), (2, 4, 1.2, False), (8, 8, 0.8, False)][
        int(rng.integers(4))
    ]
    return Material(
        (1, 1, 1), textures.tiles(rng, colour, columns=columns, rows=rows, size=size, bond=bond), gloss=0.45
    )


def _hex(*codes: str) -> tuple[Colour, ...]:
    return tuple((int(c[:2], 16) / 255, int(c[2:4], 16) / 255, int(c[4:], 16) / 255) for c in codes)


def _style(name: str, family: Family, brick: float, papered: float, **palettes: tuple[str, ...]) -> Style:
    read = {role.replace("_", " "): _hex(*codes) for role, codes in palettes.items()}
    return Style(name, family, {**SHARED, **read}, brick, papered)


STYLES: dict[str, Style] = {
    style.name: style
    for style in (
        _style(
            "scandinavian",
            "in",
            0.0,
            0.12,
            wood=("d6b88c", "e0c9a4", "c9a878"),
            painted=("f4f3ef", "e3e6e4", "c7d0cd", "8fa3a6"),
            fabric=("9aa5ab", "c9c3b8", "6f8391", "dcd6ca", "a9b3a0", "505a62"),
            leather=("b98255", "d8cdbd", "5a4a40"),
            metal=("c9cbcc", "3a3b3d", "e8e8e6"),
            plastic=("f0f0ee", "d3d7d8", "2f3234"),
            accent=("d9a441", "4f7a86", "c96a4f", "87a878", "e3bcb0", "33506b", "e8d9a8"),
            stone=("e6e4df", "8d8f90"),
            linen=("f3f1ec", "cfd8dc", "e5ded2", "a7b5b0"),
            floor=("d9bf98", "cfae80", "e1cfb0"),
            carpet=("c8c4bc", "aeb4b5", "d9d2c4"),
            tiles=("d5d6d3", "a9adad", "efeeea"),
            wall_tiles=("f2f3f1", "dfe6e6", "cdd9d4"),
            wall=("f2f0eb", "ebebe8", "f5f2ea", "e4e8e6"),
            strong_wall=("b7c4c0", "8ea0a5", "d9c3ae"),
            bricks=("e3dfd8",),
            trim=("f6f6f4",),
        ),
        _style(
            "modern",
            "in",
            0.0,
            0.05,
            wood=("6b4a33", "4a3628", "8a6a4f"),
            painted=("f5f5f5", "2e3033", "7d8287", "b9bcbd"),
            fabric=("4a4e54", "8b8f94", "2f3f55", "b8b5af", "6a6f5c"),
            leather=("26262a", "e9e6e0", "6a4b38"),
            metal=("d5d7d9", "9a9da0", "2a2b2d"),
            plastic=("1f2123", "f2f2f2", "9ea3a7"),
            accent=("c2362f", "e08a28", "2c6fae", "f2c230", "3f8f6b", "7a4a86"),
            stone=("2f3032", "efeeec", "8f8c88"),
            linen=("fafafa", "8d939a", "3d434b", "d4cfc9"),
            floor=("7d5f48", "a58263", "8d8378", "5b4636"),
            carpet=("6f7277", "94918d", "4d5156"),
            tiles=("8b8d8f", "e9e9e7", "55585b"),
            wall_tiles=("fbfbfa", "9ba0a3", "d9d7d3"),
            wall=("f5f5f4", "e9e9ea", "eeebe6"),
            strong_wall=("5b646c", "3f5468", "a09a92"),
            bricks=("c9c5c0",),
            trim=("fafafa", "e8e8e8"),
        ),
        _style(
            "classic",
            "in",
            0.0,
            0.45,
            wood=("7a4526", "8f5a32", "5d3320"),
            painted=("efe8d8", "dcd3bd", "aab39a", "6b7f86"),
            fabric=("7c2f33", "2f4a3c", "c9b48a", "33466b", "a58b6f", "d8cbb0"),
            leather=("6a3324", "3d2a22", "8a5530"),
            metal=("b8964f", "8f7a4a", "d0c8b8"),
            plastic=("ece6d6", "4b443c", "b9b0a0"),
            accent=("a33a36", "2f5d50", "c79a3a", "3a4f86", "7e3f5e", "d8c49a"),
            stone=("e8e0d2", "5c4a42", "b3a58f"),
            linen=("f5efe2", "d8c3a8", "b8c2b0", "9aa8c0"),
            floor=("9a6a40", "7f5230", "b58a5c"),
            carpet=("8a3f3a", "b5a284", "54664f"),
            tiles=("e6dcc8", "a0795a", "c9bca4"),
            wall_tiles=("f4efe3", "c9d6cf", "dfcfae"),
            wall=("f1e9d6", "ece3d0", "e6e2d2", "f4eee2"),
            strong_wall=("b9a878", "8fa08a", "a9767a", "7f90a8"),
            bricks=("a8694f",),
            trim=("f6f1e6", "7a4526"),
        ),
        _style(
            "industrial",
            "out",
            0.6,
            0.0,
            wood=("9c7248", "7b5a3e", "b08a5e"),
            painted=("3b3f42", "5c6a63", "23303a", "a6aaa8"),
            fabric=("5d5a55", "3f3b38", "7b6a58", "8a5a3a", "414d57"),
            leather=("8a4f2a", "3a2a22", "a8713f"),
            metal=("1e1f20", "4c4e50", "a06a3c"),
            plastic=("17181a", "5f6264", "c9c9c6"),
            accent=("d8761f", "b02f24", "e2b622", "3e6d7a", "6c8a3a", "c9c3b6"),
            stone=("77777a", "a8a6a2", "3d3d3f"),
            linen=("b8b3aa", "6d6a66", "e0dbd0", "4f5a63"),
            floor=("8a6b4c", "6d5038", "a1866a"),
            carpet=("55524e", "7c7268", "3e4247"),
            tiles=("6a6b6c", "9a9996", "3b3c3e"),
            wall_tiles=("f0efea", "2f3336", "7d8c86"),
            wall=("d2d0cb", "bdbbb7", "e2ded6"),
            strong_wall=("4b5054", "6f5a4a", "38474f"),
            bricks=("9a4f38", "8a5640", "a9664c"),
            trim=("2b2c2d", "4a4d4f"),
            shade=("ffdca0", "ffcf86", "ffe6bd"),
        ),
        _style(
            "rustic",
            "out",
            0.25,
            0.1,
            wood=("a8672f", "c08a4a", "5f4128", "b8763c"),
            painted=("6f8f8a", "b9c8b0", "8c3b2e", "d8c9a0"),
            fabric=("a8432f", "5f6b3a", "d0a860", "7b5a44", "c9b594", "3f5f6a"),
            leather=("7a4424", "a86a38", "4b3020"),
            metal=("2d2a28", "7a5f3f", "8f8a80"),
            plastic=("d8d0bc", "6b5a48", "8fa08f"),
            accent=("c4472a", "d99a2b", "5f7a34", "2f6a7a", "8a4a68", "e8d0a0"),
            stone=("b8a88c", "8f8470", "6a6256"),
            linen=("ece0c4", "c05a44", "8fa070", "7f9aa8"),
            floor=("a8703a", "8c5a30", "c2935a"),
            carpet=("a88f68", "8a5a44", "7f7f5a"),
            tiles=("b5653f", "c98a5c", "9a5236"),
            wall_tiles=("e8dcc0", "5f8a94", "d09a5a"),
            wall=("efe2c4", "e8d4b0", "f2ead8"),
            strong_wall=("c98a54", "9aa06a", "b5604a"),
            bricks=("b5714f", "c4a080", "8f8474"),
            trim=("8c5a30", "a8703a", "e8dcc0"),
            shade=("ffd898", "ffe2b0", "ffc878"),
        ),
        _style(
            "colourful",
            "out",
            0.0,
            0.4,
            wood=("efc27a", "b06a3a", "e8d2ac"),
            painted=("2fa8a0", "f2b52c", "e8583f", "5a6fd0", "f5f0f0", "8ac24a"),
            fabric=("e0457b", "2f8fc4", "f0a020", "5fae4f", "7a4fb0", "1f5f78"),
            leather=("d0382f", "2f6fb0", "f0c040"),
            metal=("f0f0f0", "e8b830", "3fa8b8"),
            plastic=("ff7a3c", "35b8d0", "f5f5f0", "8fcf3f", "e84f8a"),
            accent=("f03a3a", "f5c518", "2fb45a", "2a7de0", "b045c8", "ff8a1f"),
            stone=("f4f4f2", "7fc4c0", "f0d8c8"),
            linen=("f8d0e0", "b0e0f0", "fff0b0", "c0e8b0", "ff9f7f"),
            floor=("e8c890", "c8c0b8", "d8a868"),
            carpet=("5f9fc0", "d0708f", "a0b850"),
            tiles=("f2f2ee", "3f8f9f", "e8b84a"),
            wall_tiles=("5fc4c8", "f8e070", "f5f5f2", "f090b0"),
            wall=("fbf3e0", "e0f0f4", "f8e4e4", "e8f4d8"),
            strong_wall=("3fa8b8", "f0b040", "e8708a", "8fbf5a", "8f7fd0"),
            bricks=("e0a088",),
            trim=("ffffff", "f8f0d8", "5fb0b8"),
        ),
    )
}
"""All styles by name."""

FAMILIES: dict[str, tuple[str, ...]] = {
    family: tuple(name for name, style in STYLES.items() if style.family == family) for family in ("in", "out")
}
"""The names of the styles of each family."""
