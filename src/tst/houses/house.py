"""A house: drawn from a seed, furnished, lit, and turned into a scene for the renderer."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, NonNegativeInt

from tst.config import Config
from tst.errors import UserError
from tst.houses.categories import CLASS_INDEX
from tst.houses.free_space import STEP_OVER, FreeSpace
from tst.houses.furnishing import furnish
from tst.houses.furniture.builtin import BuiltinLibrary
from tst.houses.furniture.piece import Library
from tst.houses.mesh import Mesh, join
from tst.houses.placement import Placer, Thing, apart, spot_on
from tst.houses.plan import Plan
from tst.houses.planning import make_plan
from tst.houses.scene import Lamp, Outside, Scene
from tst.houses.structure import Structure, keep_free, structure
from tst.houses.styles import STYLES, Family
from tst.houses.textures import panorama

# Each part of a house has a stream of random numbers of its own, so that more furniture does not move the walls.
PLAN, STYLE, FURNITURE, LIGHT, PERTURB = range(5)
PASSAGE = 1.8
"""Height that a person needs to pass, metres."""


class HouseConfig(Config):
    """What a house is made from: the same values give the same house on every machine."""

    seed: NonNegativeInt = 0
    rooms: int | None = None
    """Number of rooms, 1 to 10; drawn if not given."""
    area: float | None = None
    """Floor area in square metres, 20 to 250; drawn to suit the rooms if not given."""
    family: Family = "in"
    """Styles and shapes of furniture: those of `out` are others, so that it is another distribution."""
    style: str | None = None
    """Name of a style; one of the family's is drawn if not given."""
    furniture: Literal["builtin", "sweethome", "mixed"] = "builtin"
    """Source of the furniture; the other two need `tst furniture install` or `add`."""
    perturbation: int | None = Field(None, ge=0)
    """Seed of a rearrangement: small things moved and the light changed, layout and assets kept (paper App. U)."""

    def generator(self, part: int) -> np.random.Generator:
        """The stream of random numbers of one part of the house."""
        return np.random.default_rng([self.seed, part])


@dataclass(frozen=True, eq=False)
class House:
    """One house.

    Attributes:
        config: what it was made from.
        plan: rooms, doors, windows.
        things: everything in it.
        parts: walls, floors, doors and windows, with their occluders.
        lamps_on: instances of the lamps that are lit.
        outside: daylight and the view.
    """

    config: HouseConfig
    plan: Plan
    things: tuple[Thing, ...]
    parts: Structure
    lamps_on: frozenset[int]
    outside: Outside

    def room_names(self) -> list[str]:
        """A name for each room: its kind, numbered where there are several."""
        kinds = [room.kind for room in self.plan.rooms]
        return [
            kind if kinds.count(kind) == 1 else f"{kind} {kinds[: index + 1].count(kind)}"
            for index, kind in enumerate(kinds)
        ]

    def room_at(self, point: np.ndarray) -> int:
        """Index of the room that the point (2,) is in, or of the nearest (in a doorway)."""
        distances = []
        for room in self.plan.rooms:
            if room.contains(point):
                return room.index
            distances.append(float(room.distance(point)))
        return int(np.argmin(distances))

    def attribution(self) -> dict[str, list[str]]:
        """Names of the pieces in the house, by "creator, licence"."""
        by: dict[str, set[str]] = {}
        for thing in self.things:
            by.setdefault(f"{thing.piece.creator}, {thing.piece.licence}", set()).add(thing.name)
        return {key: sorted(by[key]) for key in sorted(by)}

    def scene(self) -> Scene:
        """All triangles with class and instance; structure first, numbered from 1."""
        meshes: list[Mesh] = [part.mesh for part in self.parts.parts]
        categories = [part.category for part in self.parts.parts]
        instances = list(range(1, len(meshes) + 1))
        dark: dict[int, Any] = {}
        for thing in self.things:
            mesh = thing.mesh()
            if thing.piece.light is not None and thing.instance not in self.lamps_on:
                mesh = _switched_off(mesh, dark)
            meshes.append(mesh)
            categories.append(thing.category)
            instances.append(thing.instance)
        counts = [len(mesh) for mesh in meshes]
        return Scene(
            mesh=join(meshes),
            instance=np.repeat(np.array(instances, np.uint16), counts),
            semantic=np.repeat(np.array([CLASS_INDEX[name] for name in categories], np.uint8), counts),
            lamps=tuple(self._lamps()),
            outside=self.outside,
            occluders=self.parts.occluders,
        )

    def _lamps(self) -> list[Lamp]:
        rng = self.config.generator(LIGHT)
        warmth = float(rng.random())
        lamps = []
        for thing in self.things:
            if thing.instance not in self.lamps_on or thing.piece.light is None:
                continue
            x, y, z = thing.piece.light
            area = self.plan.rooms[thing.room].area
            strength = (1.6 if thing.category == "ceiling lamp" else 0.7) * (area / 14) ** 0.6
            colour = np.array([1.0, 0.93 - 0.1 * warmth, 0.85 - 0.25 * warmth]) * strength
            position = (*map(float, thing.world(x, y)), thing.position[2] + z)
            lamps.append(Lamp(position, tuple(map(float, colour))))  # type: ignore[arg-type]
        return lamps


def _switched_off(mesh: Mesh, dark: dict[int, Any]) -> Mesh:
    """The mesh of a lamp that gives no light; `dark` keeps one material for each."""
    for material in mesh.materials:
        if material.glow and id(material) not in dark:
            # The value keeps the key's object alive.
            dark[id(material)] = (material, replace(material, glow=0.0))
    return replace(mesh, materials=tuple(dark[id(m)][1] if id(m) in dark else m for m in mesh.materials))


def build(config: HouseConfig, home: Path | None = None) -> House:
    """Draw, furnish and light a house.

    Args:
        home: folder of the installed furniture libraries; the user's by default.

    Raises:
        UserError: impossible parameters, an unknown style, or furniture that is not installed.
    """
    plan = make_plan(config.generator(PLAN), rooms=config.rooms, area=config.area)
    rng = config.generator(STYLE)
    style = STYLES[_style_name(config, rng)].made(rng)
    surfaces = style.surfaces(plan, rng)
    parts = structure(plan, surfaces)
    library = _library(config, BuiltinLibrary(style), home)
    placer = Placer(plan, library, keep_free(plan), config.generator(FURNITURE), first_instance=len(parts.parts) + 1)
    for room in plan.rooms:
        furnish(placer, room)
    house = cleared(House(config, plan, tuple(placer.things), parts, frozenset(), _OVERCAST))
    house = lit(house, config.generator(LIGHT))
    if config.perturbation is not None:
        house = perturbed(house, config.perturbation)
    return house


def _style_name(config: HouseConfig, rng: np.random.Generator) -> str:
    names = [name for name, style in STYLES.items() if style.family == config.family]
    drawn = names[int(rng.integers(len(names)))]
    if config.style is None:
        return drawn
    if config.style not in STYLES:
        raise UserError(f"style {config.style!r}: unknown. Choose one of {', '.join(STYLES)}.")
    if config.style not in names:
        raise UserError(
            f"style {config.style!r}: is of the family {STYLES[config.style].family!r}, not {config.family!r}. "
            f"Choose one of {', '.join(names)}, or the other family."
        )
    return config.style


def _library(config: HouseConfig, builtin: BuiltinLibrary, home: Path | None) -> Library:
    if config.furniture == "builtin":
        return builtin
    from tst.houses.furniture.sweethome import Mixed, SweetHomeLibrary

    installed = SweetHomeLibrary(home, subset=config.family)
    if config.furniture == "mixed":
        return Mixed((builtin, installed))
    # What the libraries lack (they have no curtains, say) is still built in.
    lacking = builtin.categories() - installed.categories()
    return Mixed((installed, builtin.only(lacking)))


def cleared(house: House) -> House:
    """The house without the things that keep a person from some room.

    The placer looks at one room on a coarse grid; now and then what it let pass leaves too narrow a gap by a door.
    """
    whole = house
    groups = FreeSpace(house).reachable_rooms()
    while groups and len(_most(groups)) < len(house.plan.rooms):
        reached = _most(groups)
        # Where the way is cut: the rooms that are not reached, and those they can be walked to from.
        cut = {room for group in groups if group - reached for room in group} or set(range(len(house.plan.rooms)))
        candidates = [
            thing
            for thing in sorted(house.things, key=lambda thing: float(np.prod(thing.piece.size[:2])))
            if thing.room in cut and thing.on is None and _blocks(thing)
        ]
        if not candidates:
            return whole  # it is not the furniture
        # The smallest that opens the way; if it takes several, the smallest of them all first.
        tried = (_without(house, thing) for thing in candidates)
        opened = (other for other in tried if len(_most(FreeSpace(other).reachable_rooms())) > len(reached))
        house = next(opened, _without(house, candidates[0]))
        groups = FreeSpace(house).reachable_rooms()
    return house


def _blocks(thing: Thing) -> bool:
    """Whether a person has to go round it."""
    return bool(thing.bounds[1, 2] > STEP_OVER and thing.bounds[0, 2] < PASSAGE)


def _without(house: House, thing: Thing) -> House:
    """The house without a thing and what stands on it."""
    return replace(house, things=tuple(t for t in house.things if thing.instance not in (t.instance, t.on)))


def _most(groups: list[set[int]]) -> set[int]:
    """The most rooms that one can walk between."""
    return max(groups, key=len)


# Light

_OVERCAST = Outside((0.0, 0.0, 1.0), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (1.0, 1.0, 1.0), (0.3, 0.3, 0.3))


def lit(house: House, rng: np.random.Generator) -> House:
    """The house with a time of day, weather, a view, and some of its lamps lit."""
    daylight = float(rng.uniform(0.5, 1.0))
    azimuth, elevation = rng.uniform(0, 2 * math.pi), rng.uniform(0.35, 1.0)
    direction = (
        math.cos(azimuth) * math.cos(elevation),
        math.sin(azimuth) * math.cos(elevation),
        math.sin(elevation),
    )
    clear = float(rng.random())
    sun = np.array([1.0, 0.92, 0.8]) * 9 * clear * daylight
    zenith = (np.array([0.75, 0.95, 1.3]) * clear + (1 - clear)) * 2.6 * daylight
    horizon = (np.array([1.25, 1.25, 1.25]) * clear + (1 - clear)) * 2.6 * daylight
    outside = Outside(
        direction,
        tuple(map(float, sun)),  # type: ignore[arg-type]
        tuple(map(float, zenith)),  # type: ignore[arg-type]
        tuple(map(float, horizon)),  # type: ignore[arg-type]
        tuple(map(float, horizon * 0.25)),  # type: ignore[arg-type]
        panorama(rng),
    )
    on = set()
    for thing in house.things:
        # Rooms without a window have their light on.
        dark = not any(o.kind == "window" for wall in house.plan.rooms[thing.room].walls for o in wall.openings)
        draw = rng.random()
        if thing.piece.light is None:
            continue
        if thing.category == "ceiling lamp":
            if dark or draw < 0.75:
                on.add(thing.instance)
        elif draw < 0.45:
            on.add(thing.instance)
    return replace(house, lamps_on=frozenset(on), outside=outside)


# Change


def perturbed(house: House, seed: int) -> House:
    """The same house on another day: every small thing stands elsewhere, on what it can stand on in its room, and
    the light is another; layout and assets stay (paper App. U).
    """
    rng = np.random.default_rng([house.config.seed, PERTURB, seed])
    things = {thing.instance: thing for thing in house.things}
    for thing in house.things:
        if thing.on is None:
            continue
        bases = [
            other
            for other in house.things
            if other.room == thing.room and other.piece.supports and other.instance != thing.instance
        ]
        for _ in range(20):
            base = bases[int(rng.integers(len(bases)))]
            support = base.piece.supports[int(rng.integers(len(base.piece.supports)))]
            if thing.piece.size[2] > support.clearance:
                continue
            spot = spot_on(thing.piece, base, support, rng, turn=0.8)
            if spot is None:
                continue
            position, yaw = spot
            candidate = replace(thing, position=position, yaw=yaw, on=base.instance)
            others = [t.bounds for t in things.values() if t.instance not in (thing.instance, base.instance)]
            if candidate.bounds[1, 2] > house.plan.height or not apart(candidate.bounds, others):
                continue
            things[thing.instance] = candidate
            break
    changed = replace(house, config=house.config.replace(perturbation=seed), things=tuple(things.values()))
    return lit(changed, rng)
