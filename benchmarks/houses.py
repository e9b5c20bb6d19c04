"""Builds many houses and checks each: `python benchmarks/houses.py [--seeds 500] [--family in]`.

A house is good if nothing overlaps, every room can be walked to, and at least 15 classes are seen from places all over
it. Bad ones are printed with their seeds.
"""

import argparse
import os
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene

from tst.houses.house import House, HouseConfig, build
from tst.houses.validity import defects
from tst.houses.walks import dense_walk
from tst.space.camera import Camera

VIEWS, SIDE, CLASSES = 60, 40, 15


def visible_classes(house: House) -> int:
    """Classes that rays from dense views of the house hit; walls and the like count too."""
    scene = house.scene()
    rays = Camera.from_fov(SIDE, SIDE, 75).rays().reshape(-1, 3)
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    poses = dense_walk(house, np.random.default_rng(house.config.seed), VIEWS)
    directions = np.einsum("nij,rj->nri", poses[:, :3, :3], rays).reshape(-1, 3).astype(np.float32)
    origins = np.repeat(poses[:, :3, 3], len(rays), 0).astype(np.float32)
    tracer = EmbreeScene()
    TriangleMesh(tracer, np.ascontiguousarray(scene.mesh.points))
    hit = tracer.run(origins, directions)
    pixels = np.bincount(scene.semantic[hit[hit >= 0]])
    return int((pixels >= 3).sum())


def check(config: HouseConfig) -> dict:
    start = time.process_time()
    try:
        house = build(config)
        seconds = time.process_time() - start
        seen = visible_classes(house)
        found = defects(house) + ([] if seen >= CLASSES else [f"only {seen} classes are seen"])
    except Exception as error:  # a benchmark reports every failure with its seed
        return {"seed": config.seed, "defects": [f"{type(error).__name__}: {error}"]}
    return {
        "seed": config.seed,
        "defects": found,
        "seconds": seconds,
        "rooms": len(house.plan.rooms),
        "area": sum(room.area for room in house.plan.rooms),
        "things": len(house.things),
        "seen": seen,
        "categories": sorted({thing.category for thing in house.things}),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=500)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--family", default="in", choices=["in", "out"])
    options = parser.parse_args()
    configs = [HouseConfig(seed=options.first + k, family=options.family) for k in range(options.seeds)]
    start = time.perf_counter()
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(check, configs, chunksize=4))
    bad = [result for result in results if result["defects"]]
    built = [result for result in results if "seconds" in result]
    for result in bad:
        print(f"seed {result['seed']}: {'; '.join(result['defects'])}")
    print(f"{len(results)} houses, {len(bad)} bad, {time.perf_counter() - start:.0f} s")
    for name in ("seconds", "rooms", "area", "things", "seen"):
        low, middle, high = np.percentile([result[name] for result in built], [0, 50, 100])
        print(f"  {name:<8} {low:8.2f} {middle:8.2f} {high:8.2f}  (least, median, most)")
    counts = Counter(category for result in built for category in result["categories"])
    print(f"  {len(counts)} categories; rarest: {counts.most_common()[:-9:-1]}")


if __name__ == "__main__":
    main()
