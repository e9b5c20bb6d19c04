import json

import cv2
import numpy as np
import pytest
from small_house import HOUSE, thing

from tst.houses.boxes import box_angle, coco, frame_boxes, objects
from tst.houses.categories import CATEGORIES
from tst.houses.furniture.piece import Piece
from tst.houses.mesh import Material, box, join
from tst.houses.placement import Thing
from tst.houses.trajectory import look
from tst.space.camera import Camera

CAMERA = Camera.from_fov(160, 120, 75)
WIDE = Camera.from_fov(1600, 1600, 150)
M = Material()


def table(x: float, y: float, yaw: float = 0.0, instance: int = 7) -> Thing:
    """A thin top on four thin legs: most of its box is air."""
    legs = [box((a, b, 0), (a + 0.05, b + 0.05, 0.7), M) for a in (-0.8, 0.75) for b in (-0.4, 0.35)]
    mesh = join([box((-0.8, -0.4, 0.7), (0.8, 0.4, 0.74), M), *legs])
    return Thing(instance, Piece("dining table", "table", mesh, (1.6, 0.8, 0.74)), 0, (x, y, 0.0), yaw)


def mask(item: Thing, camera: Camera, pose: np.ndarray) -> np.ndarray:
    """The thing alone, drawn triangle by triangle; uint8 (H, W). All of it must be in front of the camera."""
    points = (item.mesh().points.astype(float) - pose[:3, 3]) @ pose[:3, :3]
    assert points[..., 2].min() > 0.05
    pixels = points[..., :2] / points[..., 2:] * [camera.fx, camera.fy] + [camera.cx - 0.5, camera.cy - 0.5]
    image = np.zeros((camera.height, camera.width), np.uint8)
    for triangle in pixels:
        cv2.fillPoly(image, [np.rint(triangle * 16).astype(np.int32)], 1, shift=4)
    return image


def angle(image: np.ndarray, camera: Camera) -> float:
    return float((image / ((camera.rays() ** 2).sum(2) ** 1.5)).sum() / camera.fx / camera.fy)


def hits(rays: np.ndarray, bounds: np.ndarray, eye: np.ndarray) -> np.ndarray:
    """Which rays (..., 3) from `eye` hit a box (2, 3)."""
    ends = np.stack([(bounds[0] - eye) / rays, (bounds[1] - eye) / rays])
    return (ends.min(0).max(-1) <= ends.max(0).min(-1)) & (ends.max(0).min(-1) > 0)


def from_(x: float, y: float, z: float, yaw: float, pitch: float = 0.0) -> np.ndarray:
    return look(np.array([[x, y, z]]), np.array([np.radians(yaw)]), np.array([np.radians(pitch)]), np.zeros(1))[0]


def test_box_area_and_flags_are_those_of_the_mask() -> None:
    things = (thing(5, "sofa", (3, -1, 0), (4, 1, 0.8)), thing(300, "cup", (2, 0.3, 0.9), (2.1, 0.4, 1.0)))
    instance = np.zeros((120, 160), np.uint16)
    instance[50:100, 40:120] = 5
    instance[90:100, 40:50] = 0
    instance[60:66, :9] = 300
    instance[0, 0] = 2  # a wall
    sofa, cup = frame_boxes(instance, things, CAMERA, from_(0, 0, 1, 0), min_visibility=0)
    assert sofa["bbox"] == [40.0, 50.0, 80.0, 50.0] and sofa["area"] == 80 * 50 - 100 and not sofa["truncated"]
    assert (cup["category"], cup["instance"], cup["bbox"]) == ("cup", 300, [0.0, 60.0, 9.0, 6.0]) and cup["truncated"]


def test_small_masks_and_slivers_of_large_things_get_no_box() -> None:
    sofa = thing(5, "sofa", (2, -1, 0), (3, 1, 0.8))
    instance = np.zeros((120, 160), np.uint16)
    instance[60:64, 70:76] = 5
    assert frame_boxes(instance, (sofa,), CAMERA, from_(0, 0, 1, 0), min_visibility=0) == []  # 24 pixels
    instance[64, 70:76] = 5
    assert len(frame_boxes(instance, (sofa,), CAMERA, from_(0, 0, 1, 0), min_visibility=0)) == 1
    assert frame_boxes(instance, (sofa,), CAMERA, from_(0, 0, 1, 0)) == []  # hardly any of the sofa
    assert frame_boxes(instance, (sofa,), CAMERA, from_(0, 0, 1, 0), min_area=0.01, min_visibility=0) == []
    assert frame_boxes(np.zeros((120, 160), np.uint16), (sofa,), CAMERA, from_(0, 0, 1, 0)) == []


@pytest.mark.parametrize("yaw", [0.0, 0.4, np.pi / 2])
@pytest.mark.parametrize("eye", [(0, 0, 1.5, 0, -10), (0, -1.5, 1.2, 25, -10), (1.2, 0.3, 1.6, 0, -35)])
def test_visibility_of_an_airy_thing_is_near_the_truth(eye: tuple[float, ...], yaw: float) -> None:
    item, pose = table(3.0, 0.0, yaw), from_(*eye)
    whole = angle(mask(item, WIDE, pose), WIDE)
    full = mask(item, CAMERA, pose).astype(np.uint16) * 7
    for hidden in (0, 70, 90):  # columns that something covers
        instance = full.copy()
        instance[:, :hidden] = 0
        if (instance > 0).sum() < 25:
            continue
        truth = angle(instance > 0, CAMERA) / whole
        (found,) = frame_boxes(instance, (item,), CAMERA, pose, min_visibility=0)
        assert found["visibility"] == pytest.approx(truth, rel=0.2, abs=0.03)


def test_a_box_in_full_view_is_wholly_visible_and_beside_the_camera_partly() -> None:
    item = thing(7, "wardrobe", (2, -0.5, 0), (2.6, 0.5, 2.0))
    pose = from_(0, 0, 1, 0)
    (found,) = frame_boxes(mask(item, CAMERA, pose).astype(np.uint16) * 7, (item,), CAMERA, pose)
    assert found["visibility"] > 0.94
    # A long bench that begins behind the camera: its pixel area would be infinite, its share of view is not.
    bench = thing(7, "bench", (-1, 0.3, 0), (3, 0.8, 1.2))
    pose = from_(0, 0, 1, 20, -15)
    instance = hits(CAMERA.rays() @ pose[:3, :3].T, bench.bounds, pose[:3, 3]).astype(np.uint16) * 7
    rays = np.random.default_rng(0).normal(size=(100_000, 3))
    whole = 4 * np.pi * hits(rays, bench.bounds, pose[:3, 3]).mean()
    (found,) = frame_boxes(instance, (bench,), CAMERA, pose)
    assert found["truncated"] and 0.2 < found["visibility"] < 0.8
    assert found["visibility"] == pytest.approx(angle(instance > 0, CAMERA) / whole, rel=0.08)


def test_solid_angles_of_boxes() -> None:
    low, high = np.array([[-1.0, -1, -1]] * 3), np.array([[1.0, 1, 1]] * 3)
    eye = np.array([[0, 0, 2.0], [0, 0, 0], [50.0, 0, 0]])
    near, inside, far = box_angle(low, high, eye)
    assert near == pytest.approx(4 * np.arcsin(1 / 2))  # a square of side 2 from distance 1
    assert inside == pytest.approx(4 * np.pi)
    assert far == pytest.approx(4 / 49**2, rel=0.01)
    eye = np.array([1.5, -2.0, 0.3])
    rays = np.random.default_rng(0).normal(size=(200_000, 3))
    expected = 4 * np.pi * hits(rays, np.stack([low[0], high[0]]), eye).mean()
    assert box_angle(low[:1], high[:1], eye[None])[0] == pytest.approx(expected, rel=0.02)


def test_coco_file_is_valid() -> None:
    images = [{"id": k, "file_name": f"{k}.jpg", "width": 160, "height": 120} for k in (1, 2, 3)]
    box_ = {"instance": 4, "category": "sofa", "bbox": [1.0, 2.0, 30.0, 40.0], "area": 900, "visibility": 0.5}
    file = coco(images, [box_ | {"image_id": 1}, box_ | {"image_id": 3, "category": "bed"}])
    file = json.loads(json.dumps(file))
    assert [c["id"] for c in file["categories"]] == list(range(1, len(CATEGORIES) + 1))
    names = {c["id"]: c["name"] for c in file["categories"]}
    assert [names[a["category_id"]] for a in file["annotations"]] == ["sofa", "bed"]
    assert [a["id"] for a in file["annotations"]] == [1, 2]
    known = {image["id"] for image in file["images"]}
    for a in file["annotations"]:
        assert a["image_id"] in known and a["iscrowd"] == 0 and 0 < a["area"] <= a["bbox"][2] * a["bbox"][3]
        assert "category" not in a
    few = coco(images, [box_ | {"image_id": 1}], ["bed", "sofa"])
    assert few["annotations"][0]["category_id"] == 2


def test_frame_boxes_go_through_json() -> None:
    item = table(3, 0)
    pose = from_(0, 0, 1.5, 0, -10)
    found = frame_boxes(mask(item, CAMERA, pose).astype(np.uint16) * 7, (item,), CAMERA, pose)
    assert json.loads(json.dumps(found)) == found


def test_objects_list_everything_in_the_house() -> None:
    listed = json.loads(json.dumps(objects(HOUSE)))
    assert [item["instance"] for item in listed] == [t.instance for t in HOUSE.things]
    lamp = listed[7]
    assert (lamp["category"], lamp["room_kind"], lamp["on"]) == ("table lamp", "bedroom", 17)
    assert lamp["bounds"] == [[8.6, 2.8, 0.5], [8.8, 3.0, 0.9]]
    sofa = listed[0]
    assert sofa["size"] == [2.0, 0.9, 0.8] and sofa["yaw"] == pytest.approx(np.pi / 2, abs=1e-4)
