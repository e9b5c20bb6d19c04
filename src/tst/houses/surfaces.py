"""What walls, floors, ceilings, doors and windows are covered with."""

from dataclasses import dataclass

from tst.houses.mesh import Material


@dataclass(frozen=True, eq=False)
class RoomSurfaces:
    """Materials of one room. `tiles` cover its walls up to `tiled_height` metres (0 = none)."""

    floor: Material
    wall: Material
    ceiling: Material
    skirting: Material
    tiles: Material | None = None
    tiled_height: float = 0.0


@dataclass(frozen=True, eq=False)
class HouseSurfaces:
    """Materials of a house; `rooms` in the order of the plan's rooms."""

    rooms: tuple[RoomSurfaces, ...]
    door: Material
    door_frame: Material
    window_frame: Material
    handle: Material
    pane: Material
