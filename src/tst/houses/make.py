"""`tst house make`: houses, walked through and rendered, as a Space."""

import multiprocessing
import os
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, NonNegativeInt, PositiveInt

from tst.config import Config
from tst.errors import UserError
from tst.files import digest, read_json, write_json
from tst.houses.boxes import coco, frame_boxes, objects
from tst.houses.captions import captions, seen_from
from tst.houses.categories import CLASSES, COMMON, common_index
from tst.houses.faults import FaultConfig
from tst.houses.house import House, HouseConfig, build
from tst.houses.imu import simulate
from tst.houses.light import bake
from tst.houses.rendering import Job, frame_file, frame_id, render
from tst.houses.scene import NO_CLASS
from tst.houses.walks import dense_walk, walk_through
from tst.progress import track
from tst.readers.base import Frame, Recording
from tst.space.camera import Camera
from tst.space.folders import disk_full_is_told
from tst.space.images import decode
from tst.space.ingest import ClassList, add_walk
from tst.space.space import Space

WALK, IMU, CAPTIONS = range(100, 103)
PROCESSES = os.cpu_count() or 1
CHUNK = 32
"""Frames that a process renders before it takes the next."""


class MakeConfig(Config):
    """What is made."""

    house: HouseConfig = HouseConfig()
    houses: PositiveInt = 1
    """Number of houses, with the seeds `house.seed`, `house.seed` + 1, ...; each becomes a walk of the Space."""
    frames: PositiveInt = 1000
    """Frames in all, shared out evenly between the houses."""
    walk: Literal["dense", "through"] = "dense"
    """`dense` samples positions, heights and directions all over (as in the paper); `through` is a smooth walk with
    timestamps and an IMU."""
    walk_seed: NonNegativeInt = 0
    """Another one gives another walk in the same house: evaluate on one that was not trained on."""
    robot: bool = False
    """Walk at a robot's height instead of a person's."""
    labels: bool = False
    """Write classes, instances, boxes, captions and objects, for evaluation and transfer."""
    classes: Literal["all", "common"] = "common"
    """The class list: all of the 65 categories, or 23 groups of them."""
    size: PositiveInt = Field(224, multiple_of=2, ge=32, le=4096)
    """Width and height of the images in pixels."""
    fov: float = Field(75.0, gt=10, lt=150)
    """Field of view in degrees."""
    rays: PositiveInt | None = None
    """Rays a surface point when the light is baked; by default 48 for one house and 16 each for many."""
    faults: FaultConfig = FaultConfig()

    def house_configs(self) -> list[HouseConfig]:
        """One a house."""
        return [self.house.replace(seed=self.house.seed + k) for k in range(self.houses)]

    def shares(self) -> list[int]:
        """Frames of each house."""
        return [self.frames // self.houses + (k < self.frames % self.houses) for k in range(self.houses)]


@dataclass(frozen=True, eq=False)
class Walked:
    """The frames of one house, before they are rendered."""

    house: House
    poses: np.ndarray
    times: np.ndarray | None
    sensors: dict[str, Any]


def make(out: Path, config: MakeConfig = MakeConfig(), home: Path | None = None) -> Space:
    """Make houses and render them into a new Space at `out`.

    Nothing is at `out` until all is done. Stopped, the same command goes on from the frames that were rendered;
    repeated when all is done, it gives the Space that is there.

    Args:
        home: folder of the installed furniture libraries; the user's by default.

    Raises:
        UserError: `out` is something else, the parameters are impossible, or the disk is full.
    """
    out = Path(out)
    if config.frames < config.houses:
        raise UserError(f"--frames {config.frames}: fewer than --houses {config.houses}. Ask for at least one each.")
    made_from = config.model_dump(mode="json")
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        return _existing(out, made_from)
    houses = config.house_configs()
    first = build(houses[0], home)  # impossible parameters are told before anything is written
    staging = out.parent / f".{out.name}.{digest(made_from)}.making"
    with disk_full_is_told(out):
        (staging / "frames").mkdir(parents=True, exist_ok=True)
        walks = [_name(item, config) for item in houses]
        space = staging / "space"
        done = set(Space.open(space).walks) if (space / "space.json").exists() else set()
        for walk in _rendered(staging, first, config, home, done):
            folder = staging / "frames" / _name(walk.house.config, config)
            _add(space, folder, walk, config, made_from)
            shutil.rmtree(folder)
        assert sorted(Space.open(space).walks) == sorted(walks)
        contents = read_json(space / "space.json")
        write_json(space / "space.json", contents | {"name": out.resolve().name})
        space.rename(out)
        shutil.rmtree(staging)
    return Space.open(out)


def _existing(out: Path, made_from: dict[str, Any]) -> Space:
    space = Space.open(out) if (out / "space.json").is_file() else None
    if space is None or any(walk.record.options.get("make") != made_from for walk in space.walks.values()):
        raise UserError(f"{out}: exists and is not what these options make. Choose another folder.")
    return space


def _name(house: HouseConfig, config: MakeConfig) -> str:
    return f"house-{house.seed:04d}" + (f"-{config.walk_seed}" if config.walk_seed else "")


# Rendering: all houses, frame by frame over the processes


def _rendered(staging: Path, first: House, config: MakeConfig, home: Path | None, done: set[str]) -> Iterator[Walked]:
    """Render house by house and yield each when its frames are all there."""
    todo = [
        (house, share)
        for house, share in zip(config.house_configs(), config.shares(), strict=True)
        if _name(house, config) not in done
    ]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(PROCESSES, mp_context=context) as pool:
        try:
            if config.houses > 1:
                yield from _many_houses(pool, staging, todo, config, home)
            elif todo:
                yield _one_house(pool, staging, first, config)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _one_house(pool: ProcessPoolExecutor, staging: Path, house: House, config: MakeConfig) -> Walked:
    name = _name(house.config, config)
    walked = walk_in(house, config.frames, config)
    scene = _baked(staging, house, config, threads=PROCESSES)
    jobs = [_job(staging, name, scene, walked, part, config) for part in _chunks(config.frames)]
    futures = [pool.submit(render, job) for job in jobs]
    for _ in track(_completed(futures, jobs), f"rendering {name}", config.frames):
        pass
    return walked


def _completed(futures: list[Any], jobs: list[Job]) -> Iterator[int]:
    sizes = dict(zip(futures, (len(job.numbers) for job in jobs), strict=True))
    for future in as_completed(futures):
        future.result()
        yield from range(sizes[future])


def _many_houses(
    pool: ProcessPoolExecutor, staging: Path, todo: list[tuple[HouseConfig, int]], config: MakeConfig, home: Path | None
) -> Iterator[Walked]:
    futures = [pool.submit(whole_house, staging, house, share, config, home) for house, share in todo]
    for future in track(as_completed(futures), "houses", len(futures)):
        yield future.result()


def whole_house(staging: Path, house: HouseConfig, share: int, config: MakeConfig, home: Path | None) -> Walked:
    """Build, light and render one house in this process."""
    name = _name(house, config)
    walked = walk_in(build(house, home), share, config)
    if all(frame_file(staging / "frames" / name, "rgb", number).exists() for number in range(share)):
        return walked
    scene = _baked(staging, walked.house, config, threads=1)
    for part in _chunks(share):
        render(_job(staging, name, scene, walked, part, config))
    shutil.rmtree(scene)
    return walked


def _chunks(frames: int) -> Iterable[np.ndarray]:
    return np.split(np.arange(frames), range(CHUNK, frames, CHUNK))


def _baked(staging: Path, house: House, config: MakeConfig, threads: int) -> Path:
    # A home is looked at for long; of many houses each gives a few frames, and baking would take most of the time.
    rays, spacing = (48, 0.25) if config.houses == 1 else (16, 0.4)
    folder = staging / f"scene-{house.config.seed}"
    if not folder.exists():
        temporary = folder.with_suffix(".tmp")
        shutil.rmtree(temporary, ignore_errors=True)
        bake(house.scene(), rays=config.rays or rays, spacing=spacing, seed=house.config.seed, threads=threads).save(
            temporary
        )
        temporary.rename(folder)
    return folder


def walk_in(house: House, frames: int, config: MakeConfig) -> Walked:
    """The poses of a walk in a house, and what other sensors measure on it."""
    rng = np.random.default_rng([house.config.seed, WALK, config.walk_seed])
    if config.walk == "dense":
        return Walked(house, dense_walk(house, rng, frames, robot=config.robot), None, {})
    trajectory = walk_through(house, rng, frames, robot=config.robot)
    table = simulate(trajectory, np.random.default_rng([house.config.seed, IMU, config.walk_seed]))
    return Walked(house, trajectory.poses, trajectory.times, {"imu": table})


def _job(staging: Path, name: str, scene: Path, walked: Walked, numbers: np.ndarray, config: MakeConfig) -> Job:
    modalities = ("rgb", "depth") if config.faults.depth else ("rgb", "depth", "normals")
    return Job(
        scene=scene,
        folder=staging / "frames" / name,
        camera=camera_of(config),
        poses=walked.poses,
        numbers=numbers,
        # The instances are needed for boxes and captions; like all labels, they are only kept if asked for.
        modalities=modalities + (("semantic", "instance") if config.labels else ()),
        classes=_stored_classes(config),
        faults=config.faults,
        seed=config.walk_seed,
    )


def camera_of(config: MakeConfig) -> Camera:
    """The camera of every frame."""
    return Camera.from_fov(config.size, config.size, config.fov)


def _stored_classes(config: MakeConfig) -> np.ndarray:
    table = np.full(256, NO_CLASS, np.uint8)
    table[: len(CLASSES)] = common_index() if config.classes == "common" else np.arange(len(CLASSES))
    return table


# Into the Space


def _add(space: Path, folder: Path, walked: Walked, config: MakeConfig, made_from: dict[str, Any]) -> None:
    house, camera = walked.house, camera_of(config)
    names = house.room_names()
    parts = [names[house.room_at(pose[:2, 3])] for pose in walked.poses]
    modalities = [name for name in ("rgb", "depth", "normals", "semantic", "instance") if (folder / name).is_dir()]
    frames = [
        Frame(
            frame_id(number),
            {name: frame_file(folder, name, number) for name in modalities},
            camera,
            pose,
            None if walked.times is None else float(walked.times[number]),
            parts[number],
        )
        for number, pose in enumerate(walked.poses)
    ]
    recording = Recording(
        "house",
        folder,
        frames,
        notes={"furniture": house.attribution()},
        sensors=walked.sensors,
        annotations=_annotations(walked, folder, config) if config.labels else {},
    )
    classes = ClassList(list(COMMON if config.classes == "common" else CLASSES)) if config.labels else None
    options = {"make": made_from, "house": house.config.model_dump(mode="json")}
    add_walk(space, recording, folder.name, classes, options)


def _annotations(walked: Walked, folder: Path, config: MakeConfig) -> dict[str, Any]:
    """Boxes and captions of every frame in COCO's format, and the things of the house in 3D."""
    house, camera = walked.house, camera_of(config)
    rng = np.random.default_rng([house.config.seed, CAPTIONS, config.walk_seed])
    images: list[dict[str, Any]] = []
    boxes: list[dict[str, Any]] = []
    told: list[dict[str, Any]] = []
    for number, pose in enumerate(walked.poses):
        image = number + 1  # COCO counts from 1
        images.append({"id": image, "file_name": frame_id(number), "width": camera.width, "height": camera.height})
        instance, _, _ = decode(frame_file(folder, "instance", number))
        depth, _, _ = decode(frame_file(folder, "depth", number))
        found = frame_boxes(instance, house.things, camera, pose)
        boxes += [box | {"image_id": image} for box in found]
        room = house.plan.rooms[house.room_at(pose[:2, 3])]
        seen = seen_from(instance, depth.astype(np.float32) / 1000, house.things)
        told += [
            {"id": len(told) + k + 1, "image_id": image, "caption": text}
            for k, text in enumerate(captions(seen, room.kind, rng, room=room.index))
        ]
    return {
        "boxes": coco(images, boxes),
        "captions": {"images": images, "annotations": told},
        "objects": objects(house),
    }
