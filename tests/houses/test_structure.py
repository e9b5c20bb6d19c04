import numpy as np
import pytest

from tst.houses.doors import leaves
from tst.houses.drawing import draw_plan
from tst.houses.mesh import Material, Mesh
from tst.houses.plan import Plan
from tst.houses.planning import make_plan
from tst.houses.structure import Structure, keep_free, structure
from tst.houses.surfaces import HouseSurfaces, RoomSurfaces

WALL, TILES, SKIRTING, PANE = Material((0.9, 0.9, 0.8)), Material((0.5, 0.6, 0.7)), Material(), Material(pane=True)


def _surfaces(plan: Plan) -> HouseSurfaces:
    rooms = []
    for room in plan.rooms:
        tiled = 2.0 if room.kind == "bathroom" else 0.0
        rooms.append(RoomSurfaces(Material(), WALL, Material(), SKIRTING, TILES if tiled else None, tiled))
    return HouseSurfaces(tuple(rooms), Material(), Material(), Material(), Material(), PANE)


@pytest.fixture(scope="module", params=[(0, 7), (5, 8), (2, 3)])
def house(request: pytest.FixtureRequest) -> tuple[Plan, Structure]:
    seed, rooms = request.param
    plan = make_plan(np.random.default_rng(seed), rooms=rooms)
    return plan, structure(plan, _surfaces(plan))


def _areas(mesh: Mesh) -> np.ndarray:
    a, b = mesh.points[:, 1] - mesh.points[:, 0], mesh.points[:, 2] - mesh.points[:, 0]
    return np.linalg.norm(np.cross(a, b), axis=1) / 2


def _of(mesh: Mesh, *materials: Material) -> np.ndarray:
    return np.isin(mesh.material, [k for k, m in enumerate(mesh.materials) if any(m is other for other in materials)])


def _hits(origin: np.ndarray, target: np.ndarray, triangles: np.ndarray) -> int:
    """How many triangles the segment crosses."""
    direction = target - origin
    a, edges = triangles[:, 0].astype(float), (triangles[:, 1:] - triangles[:, :1]).astype(float)
    p = np.cross(direction, edges[:, 1])
    det = (edges[:, 0] * p).sum(1)
    safe = np.where(np.abs(det) < 1e-12, 1.0, det)
    s = origin - a
    u = (s * p).sum(1) / safe
    q = np.cross(s, edges[:, 0])
    v = (direction * q).sum(1) / safe
    t = (edges[:, 1] * q).sum(1) / safe
    return int(((np.abs(det) > 1e-12) & (u >= 0) & (v >= 0) & (u + v <= 1) & (t > 0) & (t < 1)).sum())


def _part(house: Structure, name: str) -> Mesh:
    return next(part.mesh for part in house.parts if part.name == name)


def test_each_room_has_floor_ceiling_and_walls_with_holes(house: tuple[Plan, Structure]) -> None:
    plan, built = house
    for room in plan.rooms:
        name = f"{room.kind} {room.index}"
        ceiling = _part(built, f"{name} ceiling")
        assert _areas(ceiling).sum() == pytest.approx(room.area, rel=1e-4)
        np.testing.assert_allclose(ceiling.normals[..., 2], -1, atol=1e-6)
        floor = _part(built, f"{name} floor")
        np.testing.assert_allclose(floor.normals[..., 2], 1, atol=1e-6)
        assert room.area <= _areas(floor).sum() * 1.0001 < room.area + 2
        for number, wall in enumerate(room.walls):
            mesh = _part(built, f"{name} wall {number}")
            face = _of(mesh, WALL, TILES)
            holes = sum((o.high - o.low) * (o.head - o.sill) for o in wall.openings)
            assert _areas(mesh)[face].sum() == pytest.approx(wall.length * plan.height - holes, rel=1e-4)
            np.testing.assert_allclose(mesh.normals[face][..., :2] @ wall.inward, 1, atol=1e-5)
            tiles = mesh.points[_of(mesh, TILES)]
            assert bool(len(tiles)) == (room.kind == "bathroom") and (not len(tiles) or tiles[..., 2].max() <= 2.0)


def test_wall_textures_are_upright_continuous_and_not_mirrored(house: tuple[Plan, Structure]) -> None:
    plan, built = house
    room = plan.rooms[0]
    for number, wall in enumerate(room.walls):
        mesh = _part(built, f"{room.kind} 0 wall {number}")
        face = _of(mesh, WALL)
        from_right = np.linalg.norm(mesh.points[face][..., :2] - np.array(wall.end), axis=-1)
        np.testing.assert_allclose(mesh.uv[face][..., 0], from_right, atol=1e-4)
        np.testing.assert_allclose(mesh.uv[face][..., 1], mesh.points[face][..., 2], atol=1e-5)
        # Seen from the room, the walk along the wall goes from right to left.
        right = np.array([-wall.direction[0], -wall.direction[1], 0])
        assert np.cross(right, [0, 0, 1])[:2] @ wall.inward == pytest.approx(1)


def test_one_can_walk_through_every_door_and_stands_on_a_floor(house: tuple[Plan, Structure]) -> None:
    plan, built = house
    floors = np.concatenate([part.mesh.points for part in built.parts if part.category == "floor"])
    walls = np.concatenate([part.mesh.points for part in built.parts if part.category == "wall"])
    for opening in plan.openings:
        if opening.kind not in ("door", "doorway"):
            continue
        middle = (opening.low + opening.high) / 2
        for across in np.linspace(-0.3, 0.3, 13) + 1e-4:
            xy = np.array([middle, opening.at + across])[:: 1 if opening.axis == 0 else -1]
            assert _hits(np.array([*xy, 1.0]), np.array([*xy, -1.0]), floors) >= 1
        ends = np.array([[middle + 1e-3, opening.at - 0.3], [middle + 1e-3, opening.at + 0.3]])
        ends = np.column_stack([ends if opening.axis == 0 else ends[:, ::-1], [1.5, 1.5]])
        assert _hits(ends[0], ends[1], walls) == 0
        assert _hits(ends[0], ends[1], built.occluders) == 0


def test_daylight_enters_by_the_windows_and_nowhere_else(house: tuple[Plan, Structure]) -> None:
    plan, built = house
    windows = [o for o in plan.openings if o.kind == "window"]
    panes = np.concatenate([p.mesh.points[_of(p.mesh, PANE)] for p in built.parts if p.category == "window"])
    for window in windows:
        ends = np.array([[window.low + 0.21, window.at - 0.5], [window.low + 0.21, window.at + 0.5]])
        ends = np.column_stack([ends if window.axis == 0 else ends[:, ::-1], [1.61, 1.6]])
        assert _hits(ends[0], ends[1], built.occluders) == 0
        assert _hits(ends[0], ends[1], panes) == 1
    rng = np.random.default_rng(0)
    solid = np.concatenate([built.occluders, *(p.mesh.points for p in built.parts if p.category != "window")])
    for room in plan.rooms:
        for xy in room.inner * 0.999 + 0.001 * room.inner.mean(0):  # close to the corners, where light would leak in
            if not room.contains(xy):
                continue
            out = rng.normal(size=3)
            out[2] = abs(out[2]) + 2.0  # towards the sky, above all windows
            origin = np.array([*xy, plan.height - 0.02])
            assert _hits(origin, origin + 50 * out / np.linalg.norm(out), solid) > 0, room.kind


def test_panes_face_the_room(house: tuple[Plan, Structure]) -> None:
    plan, built = house
    for number, opening in enumerate(plan.openings):
        if opening.kind == "window":
            mesh = _part(built, f"window {number}")
            wall = next(w for w in plan.rooms[opening.rooms[0]].walls if opening in w.openings)
            np.testing.assert_allclose(mesh.normals[_of(mesh, PANE)][..., :2] @ wall.inward, 1, atol=1e-5)


def test_leaves_stand_in_their_room_and_not_in_walls() -> None:
    for seed in range(12):
        plan = make_plan(np.random.default_rng(100 + seed), rooms=6)
        for leaf in leaves(plan):
            room = plan.rooms[leaf.room]
            assert 70 <= np.degrees(abs(leaf.angle)) <= 100
            for angle in (leaf.start + leaf.angle, leaf.start + leaf.angle * 0.6, leaf.start + leaf.angle * 0.2):
                tip = leaf.hinge + (leaf.width - 0.02) * np.array([np.cos(angle), np.sin(angle)])
                assert room.contains(tip), (seed, leaf)
            assert (leaf.swing[1] - leaf.swing[0] == pytest.approx(leaf.width)) and room.contains(leaf.swing.mean(0))


def test_floor_before_doors_and_under_leaves_is_kept_free(house: tuple[Plan, Structure]) -> None:
    plan, _ = house
    free = keep_free(plan)
    doors = [o for o in plan.openings if o.kind != "window"]
    assert len(free) == len(doors) + len(leaves(plan))
    assert all((high > low).all() for low, high in free)
    for door in doors:
        for across in (-0.5, 0.5):
            xy = np.array([(door.low + door.high) / 2, door.at + across])[:: 1 if door.axis == 0 else -1]
            assert any((low <= xy).all() and (xy <= high).all() for low, high in free)


def test_parts_have_finite_unit_normals_and_known_categories(house: tuple[Plan, Structure]) -> None:
    _, built = house
    names = [part.name for part in built.parts]
    assert len(set(names)) == len(names)
    assert {part.category for part in built.parts} <= {"wall", "floor", "ceiling", "door", "window"}
    for part in built.parts:
        np.testing.assert_allclose(np.linalg.norm(part.mesh.normals, axis=2), 1, atol=1e-4)
        assert np.isfinite(part.mesh.points).all()


def test_drawing_shows_the_rooms(house: tuple[Plan, Structure]) -> None:
    plan, _ = house
    picture = draw_plan(plan, width=300)
    assert picture.shape[1:] == (300, 3) and picture.dtype == np.uint8
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > len({room.kind for room in plan.rooms}) + 2
