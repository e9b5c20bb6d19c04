"""How fast a map is made, and what it gains.

    python benchmarks/fusion.py speed SPACE [--frames 2000] [--classes 40]
    python benchmarks/fusion.py gain SPACE --model RUN --evaluate LABELLED [--noise]

`speed` repeats a walk's frames and gives them made-up probabilities of a third of their size, as a network would.

`gain` makes a map of SPACE from the model's own predictions, reads it from every frame of another, labelled walk in the
same world (with its depth and pose, which are never disturbed), and prints mIoU with paired 95 % intervals over blocks
of frames. --noise does so again with what real sensors add to the walk that is mapped: noise and holes of depth, and
errors of poses, of each frame by itself and as a drift that grows along the walk. Labels only measure.
"""

import argparse
import resource
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from tst.evaluation.bootstrap import BLOCK, difference_interval, frame_blocks, miou_interval
from tst.evaluation.metrics import summarise
from tst.mapping.look_up import look_up
from tst.mapping.oracle import read_map
from tst.mapping.predictions import CopiesConfig, Given, Model, Probabilities
from tst.mapping.score import score
from tst.mapping.space_map import BATCH, build, fuse
from tst.mapping.views import MapConfig, Views
from tst.progress import track
from tst.space.space import Space

NOISES: dict[str, dict[str, float]] = {
    "depth noise 1 % of z^2": {"depth": 0.01},
    "depth noise 4 % of z^2": {"depth": 0.04},
    "holes, 30 %": {"holes": 0.3},
    "pose 1 cm, 0.5°": {"metres": 0.01, "degrees": 0.5},
    "pose 3 cm, 1°": {"metres": 0.03, "degrees": 1},
    "pose 10 cm, 1°": {"metres": 0.1, "degrees": 1},
    "pose 3 cm, 5°": {"metres": 0.03, "degrees": 5},
    "pose 10 cm, 5°": {"metres": 0.1, "degrees": 5},
    "drift to 10 cm, 2°": {"metres": 0.1, "degrees": 2, "drift": 1},
    "drift to 50 cm, 5°": {"metres": 0.5, "degrees": 5, "drift": 1},
    "depth 4 %, holes, pose 3 cm, 1°": {"depth": 0.04, "holes": 0.3, "metres": 0.03, "degrees": 1},
}


class Noisy(Views):
    """Views as a poor sensor and a poor tracker would give them, the same at every look.

    `depth`: deviation in metres at 1 m, growing with the square of it, in patches of 8 pixels; `holes`: share of
    16-pixel patches that are unknown; `metres` and `degrees`: deviation of poses, or with `drift` how far off the last
    frame is.
    """

    def __init__(self, space: Space, config: MapConfig, noise: dict[str, float]) -> None:
        super().__init__(space, config)
        self.noise = noise
        random = np.random.default_rng(0)
        count = len(self)
        axis = random.normal(size=(1 if "drift" in noise else count, 6))
        size = np.linspace(0, 1, count)[:, None] if "drift" in noise else np.ones((count, 1))
        scale = 1 / np.linalg.norm(axis, axis=1, keepdims=True) if "drift" in noise else 1 / np.sqrt(3)
        move = size * axis[:, :3] * scale * noise.get("metres", 0)
        turn = size * axis[:, 3:] * scale * np.radians(noise.get("degrees", 0))
        self.poses[:, :3, 3] += move
        self.poses[:, :3, :3] = Rotation.from_rotvec(turn).as_matrix() @ self.poses[:, :3, :3]

    def depth(self, number: int) -> np.ndarray:
        depth = super().depth(number)
        random = np.random.default_rng(number)

        def patches(side: int) -> np.ndarray:
            small = random.normal(size=(depth.shape[0] // side + 1, depth.shape[1] // side + 1))
            return small.repeat(side, 0).repeat(side, 1)[: depth.shape[0], : depth.shape[1]]

        z = depth / 1000
        noisy = z + self.noise.get("depth", 0) * z**2 * patches(8)
        kept = random.random(depth.shape)  # holes below; drawn even if there are none
        if holes := self.noise.get("holes", 0):
            level = patches(16)
            kept = (level > np.quantile(level, holes)).astype(float)
        known = (depth > 0) & (kept > 0) & (noisy > 0)
        return np.where(known, noisy * 1000, 0).clip(0, 65535).astype(np.uint16)


class Remembered:
    """Predictions that are kept, in half precision: the noise changes where they are put, not what they are."""

    def __init__(self, source: Probabilities, space: Space) -> None:
        self.classes, self.identity, self.licences = source.classes, source.identity, source.licences
        self.frames: list[np.ndarray] = []
        for start in track(range(0, len(space), BATCH), f"predicting {space.name}"):
            found = source(range(start, min(start + BATCH, len(space))))
            self.frames += [values.astype(np.float16) for values in found]

    def __call__(self, frames: Sequence[int]) -> list[np.ndarray]:
        return [self.frames[frame].astype(np.float32) for frame in frames]


def gain(options: argparse.Namespace) -> None:
    space, labelled = Space.open(options.space), Space.open(options.evaluate)
    copies = CopiesConfig(flip=not options.plain, scales=(1.0,) if options.plain else tuple(options.scales))
    config = MapConfig(cell=options.cell, short_side=options.short_side)
    mapped = Remembered(Model(options.model, space, copies), space)
    own = Remembered(Model(options.model, labelled, CopiesConfig(flip=False, scales=(1.0,))), labelled)
    alone, _ = read_map(None, own, labelled)
    blocks = frame_blocks(alone.ids, alone.parts, BLOCK)
    whole = summarise(alone.matrices)
    low, high = miou_interval(alone.matrices, blocks=blocks)
    print(f"{'model alone':<40} mIoU {whole.miou:5.1f} ({low:.1f} to {high:.1f})  pixels {whole.pixel_accuracy:.1f}")

    def row(name: str, views: Views, depth: bool = True) -> None:
        space_map = build(views)
        sums = fuse(space_map, mapped)
        result, hit = read_map((space_map, sums), own, labelled, depth=depth)
        found = summarise(result.matrices)
        low, high = difference_interval(result.matrices, alone.matrices, blocks=blocks)
        kappa = score(sums.votes_VC)["kappa"]
        print(
            f"{name:<40} mIoU {found.miou:5.1f} ({found.miou - whole.miou:+.1f}, {low:+.1f} to {high:+.1f})  pixels "
            f"{found.pixel_accuracy:.1f}  hit {hit:.0%}  cells {len(space_map.cells):,}  agreement {kappa:.1f}",
            flush=True,
        )

    row("map", Views(space, config))
    row("map, read without depth (rays)", Views(space, config), depth=False)
    for name, noise in NOISES.items() if options.noise else ():
        row(f"map, {name}", Noisy(space, config, noise))


class Repeated(Views):
    """A walk again and again, each time a millimetre further, until there are enough frames."""

    def __init__(self, space: Space, config: MapConfig, frames: int) -> None:
        super().__init__(space, config)
        number = np.arange(frames) % len(self)
        rounds = np.arange(frames) // len(self)
        self.frames, self._numbers = self.frames[number], self._numbers[number]
        self.poses, self._rows = self.poses[number].copy(), [self._rows[k] for k in number]
        self.poses[:, 0, 3] += 0.001 * rounds


def speed(options: argparse.Namespace) -> None:
    space = Space.open(options.space)
    config = MapConfig(cell=options.cell, short_side=options.short_side)
    views = Repeated(space, config, options.frames)
    _ = views.cached
    random = np.random.default_rng(0)
    size = options.short_side // 3
    made_up = random.random((8, options.classes, size, size), np.float32)
    made_up /= made_up.sum(1, keepdims=True)
    source = Given(made_up, [str(k) for k in range(options.classes)])

    class Cycled:
        classes, identity, licences = source.classes, source.identity, source.licences

        def __call__(self, frames: Sequence[int]) -> Sequence[np.ndarray]:
            return source([frame % len(made_up) for frame in frames])

    small = Repeated(space, config, 3)  # compiles
    fuse(build(small), Cycled())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, cpu = time.perf_counter(), time.process_time()
    space_map = build(views)
    found = time.perf_counter()
    sums = fuse(space_map, Cycled())
    averaged, cpu = time.perf_counter(), time.process_time() - cpu
    read_frames = range(0, len(views), 20)
    for view in map(views.load, read_frames):
        look_up(space_map.cells, sums, view.points_HW3.reshape(-1, 3), view.known_HW.ravel())
    read = (time.perf_counter() - averaged) / len(read_frames)
    cells = len(space_map.cells)
    arrays = sum(array.nbytes for array in sums.tensors().values())
    table = space_map.cells.keys.nbytes + space_map.cells.rows.nbytes
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"{len(views):,} frames of {options.short_side} px, {options.classes} classes, {cells:,} cells of "
        f"{config.cell * 100:g} cm: found in {found - start:.1f} s, averaged in {averaged - found:.1f} s, in all "
        f"{averaged - start:.1f} s ({cpu:.1f} s of CPU); reading {1000 * read:.0f} ms a frame"
    )
    print(
        f"memory: averages {arrays / 1e6:.0f} MB ({arrays / cells:.0f} bytes a cell), table {table / 1e6:.0f} MB; "
        f"the process {peak / 1e6:.2f} GB at most, {before / 1e6:.2f} before"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("speed", "gain"))
    parser.add_argument("space", type=Path)
    parser.add_argument("--cell", type=float, default=MapConfig().cell)
    parser.add_argument("--short-side", type=int, default=MapConfig().short_side)
    parser.add_argument("--frames", type=int, default=2000)
    parser.add_argument("--classes", type=int, default=40)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--evaluate", type=Path)
    parser.add_argument("--noise", action="store_true")
    parser.add_argument("--plain", action="store_true", help="no mirrored and scaled copies")
    parser.add_argument("--scales", type=float, nargs="+", default=CopiesConfig().scales)
    options = parser.parse_args()
    (speed if options.what == "speed" else gain)(options)


if __name__ == "__main__":
    main()
