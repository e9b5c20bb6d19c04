"""Maps of a room whose walls are known: surfaces lie on them, colours and classes are theirs, from any view."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from room import Walk, poses

from captures import FACE_CLASS, ROOM, look, render
from tst.errors import UserError
from tst.mapping.look_up import cast, look_up
from tst.mapping.predictions import Given
from tst.mapping.space_map import appearance, build, fuse
from tst.mapping.views import MapConfig, Views
from tst.space import Space
from tst.space.camera import Camera

CONFIG = MapConfig(cell=0.1, short_side=72)
OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])


def distance_to_walls(points: np.ndarray) -> np.ndarray:
    return np.minimum(np.abs(points), np.abs(points - ROOM)).min(1)


def test_surfaces_lie_on_the_walls_with_their_normals_and_views(room: Space) -> None:
    look_of = appearance(build(Views(room, CONFIG)))
    points = look_of.points_V3
    distance = distance_to_walls(points)
    assert np.median(distance) < 0.001 and distance.max() < 0.03  # in corners a cell averages two walls
    length = np.linalg.norm(look_of.normals_V3, axis=1)
    known = length > 0.5
    assert known.mean() > 0.9 and np.allclose(length[known], 1, atol=1e-5)
    middle = ROOM / 2
    assert ((middle - points) * look_of.normals_V3).sum(1)[known].min() > 0  # into the room
    assert look_of.views_V.max() <= len(room) and np.median(look_of.views_V) > 2


def test_a_view_counts_less_far_away_at_a_slant_and_at_the_border(room: Space) -> None:
    view = Views(room, CONFIG).load(0)
    seen = render(poses()[0], 96, 72)
    weights = view.weights_HW
    middle = weights[28:44, 36:60]
    assert middle.min() > weights[0].max() and middle.min() > weights[:, 0].max()
    np.testing.assert_allclose(view.points_HW3 + Views(room, CONFIG).origin, seen["points"], atol=0.005)


def test_look_up_gives_each_new_view_the_classes_of_the_room(room: Space, truth: Callable[..., Given]) -> None:
    space_map = build(Views(room, CONFIG))
    sums = fuse(space_map, truth(poses()))
    pose = look([1.7, 1.2, 2.8], 100.0, -5.0)
    seen = render(pose, 48, 36)
    origin = space_map.views.origin
    points = (seen["points"] - origin).astype(np.float32).reshape(-1, 3)
    found = look_up(space_map.cells, sums, points, np.ones(len(points), bool))
    hit = found.views_P > 0
    right = found.values_PC.argmax(1) == FACE_CLASS[seen["face"]].ravel()
    assert hit.mean() > 0.9 and right[hit].mean() > 0.97
    np.testing.assert_allclose(found.values_PC[hit].sum(1), 1, atol=1e-4)
    assert np.median(found.agreement_P[hit]) > 0.95
    camera = Camera.from_fov(48, 36, 90)
    rays, met = cast(space_map.cells, sums.views_V, camera, pose @ OPENCV, origin, near=0.2, far=8)
    assert (met | ~hit).mean() > 0.95  # rays find what depth finds, where it is
    both = met & hit
    assert np.median(np.linalg.norm(rays[both] - points[both], axis=1)) < 0.1


def test_what_is_hidden_or_in_the_air_is_never_read(room: Space, truth: Callable[..., Given]) -> None:
    space_map = build(Views(room, CONFIG))
    sums = fuse(space_map, truth(poses()))
    places = np.array([ROOM / 2, ROOM + 0.5, -ROOM, [2, 1, 0.3]]) - space_map.views.origin
    found = look_up(space_map.cells, sums, places.astype(np.float32), np.ones(4, bool))
    assert not found.views_P.any() and not found.values_PC.any()
    known = look_up(space_map.cells, sums, np.zeros((2, 3), np.float32), np.zeros(2, bool))
    assert not known.views_P.any()


def test_the_map_is_the_same_wherever_the_world_has_its_origin(room: Space, tmp_path: Path) -> None:
    views = Views(room, CONFIG)
    far = Views(room, CONFIG)
    far.poses = far.poses.copy()
    far.poses[:, :3, 3] += 4.5e5  # such as UTM
    far.origin = far.poses[0, :3, 3].copy()
    one, other = appearance(build(views)), appearance(build(far))
    assert len(one.points_V3) == len(other.points_V3)
    np.testing.assert_allclose(other.points_V3 - 4.5e5, one.points_V3, atol=1e-5)
    np.testing.assert_array_equal(one.colours_V3, other.colours_V3)


@pytest.mark.parametrize(
    ("walk", "expected"),
    [
        (Walk(poses(6), depth=False), "has no depth"),
        (Walk(poses(40, 1.2), scale=1000.0), "poses are in millimetres"),
        (Walk(poses(40, 1.2), scale=1 / 0.3048), "poses are in feet"),
        (Walk(poses(6), blind=True), "no frame has depth within 0.2 to 6 m"),
    ],
)
def test_what_cannot_be_mapped_is_refused_with_the_reason(
    walk: Walk, expected: str, read: Callable[..., Space]
) -> None:
    space = read(walk)
    with pytest.raises(UserError, match=expected) as raised:
        build(Views(space, CONFIG))
    assert "\n" not in str(raised.value) and str(space.path) in str(raised.value)


def test_a_single_frame_makes_a_map(read: Callable[..., Space]) -> None:
    look_of = appearance(build(Views(read(Walk(poses(1))), CONFIG)))
    assert len(look_of.points_V3) > 100 and set(look_of.views_V) == {1}


def test_of_several_walks_those_that_fit_are_mapped_and_the_others_named(read: Callable[..., Space]) -> None:
    space = read(Walk(poses(6), depth=False), Walk(poses(8)), Walk(poses(40, 1.2), scale=1000.0))
    views = Views(space, CONFIG)
    assert views.frames.tolist() == list(range(6, 14))
    assert len(views.notes) == 2 and "no depth" in views.notes[0] and "millimetres" in views.notes[1]
    assert len(build(views).cells)
