"""What light and frames of a house cost, and whether the frames are right: python benchmarks/render.py

The house is synthetic: a grid of rooms with windows, doorways and dense models, about 300,000 triangles. Every frame is
compared with Embree along the same rays.
"""

import argparse
import math
import os
import resource
import time

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene

from tst.houses.light import BakedScene, bake
from tst.houses.mesh import Material, Mesh, Texture, ball, box, join, lathe, quad, rounded_box
from tst.houses.renderer import Renderer
from tst.houses.scene import Lamp, Outside, Scene
from tst.space.camera import Camera

ROOM = (4.5, 4.0, 2.6)
ROOMS = (4, 2)
MODELS = 11
FRAMES = 30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rays", type=int, default=48)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    scene = synthetic_house(rng)
    bake(_speck(scene), rays=options.rays, threads=options.threads)  # compiles
    start, used = time.perf_counter(), time.process_time()
    baked = bake(scene, rays=options.rays, threads=options.threads)
    wall, used = time.perf_counter() - start, time.process_time() - used
    print(f"triangles        {len(scene.mesh):,}, with light {len(baked.scene.mesh):,}")
    print(f"bake             {wall:.1f} s, {used:.1f} CPU seconds, {options.threads} threads, {options.rays} rays")
    print(f"peak memory      {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB")
    poses = [random_pose(rng) for _ in range(FRAMES)]
    for size in (224, 128):
        renderer = Renderer(baked, Camera.from_fov(size, size, 90))
        renderer.render(poses[0])
        start = time.process_time()
        for pose in poses:
            renderer.render(pose)
        mean = (time.process_time() - start) / len(poses)
        print(f"{size} px           {1 / mean:.1f} frames a second and core ({1e3 * mean:.1f} ms)")
    agreement(baked, poses)


def agreement(baked: BakedScene, poses: list[np.ndarray]) -> None:
    """Print how far depth and instances are those that Embree finds along the pixels' rays."""
    mesh = baked.scene.mesh
    solid = EmbreeScene(robust=True)
    TriangleMesh(solid, np.ascontiguousarray(mesh.points))
    camera = Camera.from_fov(224, 224, 90)
    renderer, rays = Renderer(baked, camera), camera.rays().reshape(-1, 3)
    close = same = total = 0
    for pose in poses:
        view = renderer.render(pose)
        directions = (rays @ pose[:3, :3].T).astype(np.float32)  # of length 1 along z: distances are depths
        origins = np.tile(pose[:3, 3].astype(np.float32), (len(rays), 1))
        met = solid.run(origins, directions, output=True)
        hit = met["primID"] >= 0
        depth = np.where(hit, met["tfar"], 0)
        instance = np.where(hit, baked.scene.instance[np.maximum(met["primID"], 0)], 0)
        close += int((np.abs(view.depth.ravel() - depth) <= 1e-3).sum())
        same += int((view.instance.ravel() == instance).sum())
        total += len(rays)
    print(f"against Embree   depth within 1 mm on {close / total:.3%} of pixels, instances equal on {same / total:.3%}")


def random_pose(rng: np.random.Generator) -> np.ndarray:
    """Somewhere in the house at eye height, looking about level."""
    eye = [
        *(rng.uniform(0.4, n * length - 0.4) for n, length in zip(ROOMS, ROOM[:2], strict=True)),
        rng.uniform(1.3, 1.6),
    ]
    yaw, pitch = rng.uniform(0, 2 * math.pi), math.radians(rng.uniform(-25, 5))
    forward = np.array([math.cos(yaw) * math.cos(pitch), math.sin(yaw) * math.cos(pitch), math.sin(pitch)])
    right = np.array([math.sin(yaw), -math.cos(yaw), 0])
    pose = np.eye(4)
    pose[:3, 0], pose[:3, 1], pose[:3, 2], pose[:3, 3] = right, np.cross(forward, right), forward, eye
    return pose


def synthetic_house(rng: np.random.Generator) -> Scene:
    """Rooms of about 37,000 triangles each."""
    parts: list[tuple[Mesh, int]] = []
    occluders, lamps = [], []
    boards = Material((1, 1, 1), _boards(rng), gloss=0.1)
    paint, white, pane = Material((0.93, 0.91, 0.87)), Material((0.96, 0.96, 0.95)), Material(pane=True)
    width, depth, height = ROOM
    for column in range(ROOMS[0]):
        for row in range(ROOMS[1]):
            x, y = column * width, row * depth
            parts.append((quad([x, y, 0], [width, 0, 0], [0, depth, 0], boards), 1))
            parts.append((quad([x, y + depth, height], [width, 0, 0], [0, -depth, 0], white), 2))
            outer = [(column == 0, 0, x), (column == ROOMS[0] - 1, 0, x + width)]
            outer += [(row == 0, 1, y), (row == ROOMS[1] - 1, 1, y + depth)]
            for side, (is_outer, axis, at) in enumerate(outer):
                low = y if axis == 0 else x
                length = depth if axis == 0 else width
                shift = 0.06 if side % 2 == 0 else -0.06
                hole = (1.3, 2.7, 0.9, 2.1) if is_outer else (0.6, 1.5, 0.0, 2.05)
                parts.append((_wall(axis, at + shift, low, length, hole, paint), 0))
                slab = _wall(axis, at, low, length, hole, paint)
                occluders.append(slab)
                if is_outer:
                    parts.append((_panel(axis, at, low + hole[0], hole[1] - hole[0], hole[2], hole[3], pane), 4))
            lamps.append(Lamp((x + width / 2, y + depth / 2, height - 0.3), (3.0, 2.7, 2.2)))
            parts.extend(_models(rng, x, y))
    spread = 0.5
    size = (ROOMS[0] * width, ROOMS[1] * depth)
    for low, high in ((-0.2, -0.001), (height + 0.001, height + 0.2)):
        occluders.append(box([-spread, -spread, low], [size[0] + spread, size[1] + spread, high], paint))
    sun = np.array([0.4, -0.6, 0.7]) / np.linalg.norm([0.4, -0.6, 0.7])
    outside = Outside(tuple(sun), (9, 8, 6.5), (2.0, 2.6, 3.6), (3.2, 3.4, 3.6), (0.6, 0.6, 0.45))
    instance = np.concatenate([np.full(len(mesh), k + 1, np.uint16) for k, (mesh, _) in enumerate(parts)])
    semantic = np.concatenate([np.full(len(mesh), label, np.uint8) for mesh, label in parts])
    return Scene(join(m for m, _ in parts), instance, semantic, tuple(lamps), outside, join(occluders).points)


def _panel(axis: int, at: float, low: float, length: float, bottom: float, top: float, material: Material) -> Mesh:
    if axis == 0:
        return quad([at, low, bottom], [0, length, 0], [0, 0, top - bottom], material)
    return quad([low, at, bottom], [length, 0, 0], [0, 0, top - bottom], material)


def _wall(axis: int, at: float, low: float, length: float, hole: tuple[float, ...], material: Material) -> Mesh:
    left, right, sill, head = hole
    panels = [
        (low, left, 0, ROOM[2]), (low + right, length - right, 0, ROOM[2]),
        (low + left, right - left, 0, sill), (low + left, right - left, head, ROOM[2]),
    ]  # fmt: skip
    return join(_panel(axis, at, a, b, c, d, material) for a, b, c, d in panels if d > c)


def _models(rng: np.random.Generator, x: float, y: float) -> list[tuple[Mesh, int]]:
    """Dense round things, a few hundred to a few thousand triangles each, standing about."""
    models = []
    for k in range(MODELS):
        colour = tuple(rng.uniform(0.25, 0.9, 3))
        material = Material(colour, _boards(rng) if k % 3 == 0 else None, gloss=0.2)
        wide, deep, high = rng.uniform(0.3, 0.9, 3)
        kind = k % 3
        if kind == 0:
            mesh = rounded_box([-wide / 2, -deep / 2, 0], [wide / 2, deep / 2, high], material, 0.08, 10)
        elif kind == 1:
            heights = np.linspace(0, high, 24)
            profile = [(0.2 + 0.08 * math.sin(9 * z), z) for z in heights]
            mesh = lathe([(0, 0), *profile, (0, high)], material, 64)
        else:
            mesh = ball(0.25, material, 60).moved(z=0.25)
        models.append((mesh.moved(x + rng.uniform(0.7, ROOM[0] - 0.7), y + rng.uniform(0.7, ROOM[1] - 0.7)), 5 + k))
    return models


def _boards(rng: np.random.Generator) -> Texture:
    tone = np.repeat(rng.uniform(0.75, 1.1, 8), 32)[None, :, None]
    grain = rng.normal(0, 4, (256, 256, 1)).cumsum(0) * 0.3
    return Texture(np.clip(np.array([165, 120, 80]) * tone + grain, 0, 255).astype(np.uint8))


def _speck(scene: Scene) -> Scene:
    first = scene.instance <= 3
    mesh = scene.mesh
    mesh = Mesh(mesh.points[first], mesh.normals[first], mesh.uv[first], mesh.material[first], mesh.materials)
    return Scene(mesh, scene.instance[first], scene.semantic[first], scene.lamps, scene.outside, scene.occluders)


if __name__ == "__main__":
    main()
