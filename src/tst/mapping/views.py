"""Frames that can be put on a map (with depth, camera and pose): points, normals and how much each pixel counts."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numba
import numpy as np
from pydantic import Field, PositiveFloat, PositiveInt

from tst.config import Config
from tst.errors import UserError
from tst.inspection.agreement import agreement
from tst.inspection.surfaces import SAME_SURFACE
from tst.inspection.trajectory import trajectory
from tst.inspection.verdict import judge_agreement
from tst.progress import track
from tst.space.cache import CachedFrames, frame_cache
from tst.space.ingest import AHEAD, WORKERS
from tst.space.space import Space, Walk

CLOSEST = 0.5
"""Metres within which nearness counts no more: there the network sees a patch of a thing and not the thing."""
GRAZING = 0.1
"""Least weight of a grazing view: it is still better than none."""
NO_NORMAL = 0.25
"""Weight of pixels without a normal. They lie at the outlines of things, where depth flies between two surfaces and a
label is off by a pixel."""
BORDER, AT_BORDER = 0.1, 0.3
"""Share of the short side over which the weight grows to 1, and where it begins."""


class MapConfig(Config):
    """How views are put on a map."""

    cell: PositiveFloat = 0.06
    """Side of the map's cells, metres. Values are read between cells, so that what is told apart is about twice as
    large."""
    short_side: PositiveInt = 224
    """Depth is used at this short side, pixels."""
    near: float = Field(0.2, ge=0)
    """Metres; nearer surfaces are left out: hands, and what sensors invent."""
    far: PositiveFloat = 6.0
    """Metres; further surfaces are left out: pixels are large there, and depth is poor."""


@dataclass(frozen=True, eq=False)
class View:
    """One frame's surface.

    Attributes:
        frame: number in `Space.frames()`.
        points_HW3: float32 metres, in the world's axes from the map's origin.
        normals_HW3: float32 unit vectors towards the camera, world axes, 0 where unknown.
        weights_HW: float32, how much each pixel counts; 0 outside near .. far and where depth is unknown.
        known_HW: bool, where depth is known at any distance.
    """

    frame: int
    points_HW3: np.ndarray  # noqa: N815
    normals_HW3: np.ndarray  # noqa: N815
    weights_HW: np.ndarray  # noqa: N815
    known_HW: np.ndarray  # noqa: N815


class Views:
    """All frames of a Space that can be put on a map.

    Walks without depth, poses or intrinsics, and walks whose depth and poses contradict each other (wrong unit or axes,
    found by reprojection: `tst.inspection.agreement`), are left out; so are single frames without a pose. All walks
    must share one world.

    Attributes:
        space: the whole Space.
        frames: (F,) numbers in `space.frames()`, ascending.
        poses: (F, 4, 4) camera-to-world, metres.
        origin: (3,) world position of the map's origin: the first camera's. Coordinates relative to it are exact in
            float32 wherever the world's own origin is.
        notes: what was left out, and why.

    Raises:
        UserError: nothing is left; says why.
    """

    def __init__(self, space: Space, config: MapConfig = MapConfig()) -> None:
        self.space, self.config = space, config
        self.notes: list[str] = []
        if not len(space):
            raise UserError(f"{space.path}: has no frames. Read a capture into it.")
        walks = {}
        for name, walk in space.walks.items():
            if problem := _problem(walk):
                self.notes.append(f"walk {name} is not on the map: {problem}")
            else:
                walks[name] = walk
        if not walks:
            raise UserError(f"{space.path}: no map can be made: {self.notes[0]}.")
        self._mapped = Space(space.path, space.file, walks)
        first = {}
        count = 0
        for name, walk in space.walks.items():
            first[name] = count
            count += len(walk)
        rows = self._mapped.frames()
        usable = [n for n, (walk, row) in enumerate(rows) if walk.pose(row) is not None and walk.camera(row)]
        if len(usable) < len(rows):
            self.notes.append(f"{len(rows) - len(usable)} of {len(rows)} frames have no pose or no intrinsics")
        self._numbers = np.array(usable)
        self._rows = [rows[n] for n in usable]
        self.frames = np.array([first[walk.name] + row for walk, row in self._rows])
        self.poses = np.array([walk.pose(row) for walk, row in self._rows])
        self.origin = self.poses[0, :3, 3].copy()

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def walks(self) -> dict[str, Walk]:
        """The walks that are on the map."""
        return self._mapped.walks

    @cached_property
    def cached(self) -> CachedFrames:
        """Depth of the mapped walks."""
        return frame_cache(self._mapped, "depth", self.config.short_side)

    @property
    def extents(self) -> np.ndarray:
        """(F, 2) int32 height and width of each view, pixels."""
        return self.cached.extents[self._numbers]

    @cached_property
    def _confidence(self) -> CachedFrames | None:
        there = "confidence" in self._mapped.modalities()
        return frame_cache(self._mapped, "confidence", self.config.short_side) if there else None

    @cached_property
    def _rgb(self) -> CachedFrames:
        return frame_cache(self._mapped, "rgb", self.config.short_side)

    def depth(self, number: int) -> np.ndarray:
        """(H, W) uint16 millimetres of view `number` (0 .. F - 1)."""
        return self.cached.frame(int(self._numbers[number]))

    def rgb(self, number: int) -> np.ndarray:
        """(H, W, 3) uint8 of view `number`, the size of its depth."""
        return self._rgb.frame(int(self._numbers[number]))

    def load(self, number: int) -> View:
        """View `number` (0 .. F - 1)."""
        depth, pose = np.ascontiguousarray(self.depth(number)), self.poses[number]
        height, width = depth.shape
        walk, row = self._rows[number]
        camera = walk.camera(row)
        assert camera is not None
        camera = camera.resized(width, height)
        sure = np.empty((0, 0), np.uint8)
        if self._confidence is not None:
            sure = np.ascontiguousarray(self._confidence.frame(int(self._numbers[number])))
        intrinsics = np.array([camera.fx, camera.fy, camera.cx, camera.cy])
        turn, move = np.ascontiguousarray(pose[:3, :3]), pose[:3, 3] - self.origin
        limits = (self.config.near, self.config.far)
        points, normals, weights = _look(depth, sure, intrinsics, turn, move, *limits)
        return View(int(self.frames[number]), points, normals, weights, depth > 0)

    def each(self, description: str, start: int = 0) -> Iterator[tuple[int, View]]:
        """(number, view) of all views from `start` on, a few loaded ahead in threads; tells progress."""
        _ = self.cached, self._confidence  # built here, not in the threads

        def loaded() -> Iterator[tuple[int, View]]:
            with ThreadPoolExecutor(WORKERS) as pool:
                waiting: deque[tuple[int, Future[View]]] = deque()
                for number in range(start, len(self)):
                    waiting.append((number, pool.submit(self.load, number)))
                    if len(waiting) > AHEAD:
                        first, view = waiting.popleft()
                        yield first, view.result()
                for first, view in waiting:
                    yield first, view.result()

        yield from track(loaded(), description, len(self) - start)


def _problem(walk: Walk) -> str | None:
    """Why a walk cannot be mapped."""
    poses = len(walk) - walk.frames["pose"].null_count
    if not len(walk):
        return "it has no frames"
    if "depth" not in walk.modalities():
        return "it has no depth; record with a depth sensor, or read a capture that has it"
    if not poses:
        return "it has no poses; record with an app that tracks the camera"
    if walk.frames["fx"].null_count == len(walk):
        return "it has no intrinsics; read it again and give the field of view"
    found = agreement(trajectory(walk))
    if found is None or found.fits:
        return None
    finding = judge_agreement(found)
    return f"{finding.text}; {finding.advice}"


@numba.njit(cache=True, nogil=True)
def _look(
    depth: np.ndarray,
    sure: np.ndarray,
    intrinsics: np.ndarray,
    turn: np.ndarray,
    move: np.ndarray,
    near: float,
    far: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points, normals and weights of one view. A pixel's weight is the product of

    - 1 / distance: a network sees a thing better from near, and noise of depth grows with distance;
    - the cosine between normal and line of sight: seen at a grazing angle a pixel covers much surface, and an error of
      depth or of the pixel's place moves its point far along it; NO_NORMAL where there is none;
    - a ramp from AT_BORDER at the image's border: there the network knows one side of the surroundings only;
    - the depth sensor's own confidence, where it is recorded.
    """
    height, width = depth.shape
    fx, fy, cx, cy = intrinsics
    points = np.zeros((height, width, 3), np.float32)
    normals = np.zeros((height, width, 3), np.float32)
    weights = np.zeros((height, width), np.float32)
    ramp = BORDER * min(height, width)
    a, b, n = np.empty(3), np.empty(3), np.empty(3)
    for v in range(height):
        for u in range(width):
            z = depth[v, u] * 0.001
            if z <= 0:
                continue
            x, y = (u + 0.5 - cx) / fx * z, (v + 0.5 - cy) / fy * z
            for i in range(3):
                points[v, u, i] = turn[i, 0] * x + turn[i, 1] * y + turn[i, 2] * z + move[i]
            if z < near or z > far:
                continue
            weight = NO_NORMAL
            if 0 < u < width - 1 and 0 < v < height - 1:
                left, right = depth[v, u - 1] * 0.001, depth[v, u + 1] * 0.001
                up, down = depth[v - 1, u] * 0.001, depth[v + 1, u] * 0.001
                most = SAME_SURFACE * z
                if (
                    min(left, right, up, down) > 0
                    and max(abs(left - z), abs(right - z), abs(up - z), abs(down - z)) < most
                ):
                    a[0] = (u + 1.5 - cx) / fx * right - (u - 0.5 - cx) / fx * left
                    a[1], a[2] = (v + 0.5 - cy) / fy * (right - left), right - left
                    b[0], b[2] = (u + 0.5 - cx) / fx * (down - up), down - up
                    b[1] = (v + 1.5 - cy) / fy * down - (v - 0.5 - cy) / fy * up
                    n[0], n[1], n[2] = (
                        b[1] * a[2] - b[2] * a[1],
                        b[2] * a[0] - b[0] * a[2],
                        b[0] * a[1] - b[1] * a[0],
                    )
                    length = (n[0] ** 2 + n[1] ** 2 + n[2] ** 2) ** 0.5
                    if length > 0:
                        cosine = -(n[0] * x + n[1] * y + n[2] * z) / (length * (x * x + y * y + z * z) ** 0.5)
                        for i in range(3):
                            normals[v, u, i] = (turn[i, 0] * n[0] + turn[i, 1] * n[1] + turn[i, 2] * n[2]) / length
                        weight = max(cosine, GRAZING)
            inside = min(u + 0.5, width - u - 0.5, v + 0.5, height - v - 0.5)
            weight *= min(1.0, AT_BORDER + (1 - AT_BORDER) * inside / ramp)
            if sure.size:
                weight *= sure[v, u] / 255
            weights[v, u] = weight / max(z, CLOSEST)
    return points, normals, weights
