"""How fast frames are labelled: python benchmarks/label.py SPACE --with NAME=PATH ... [--frames 48] [--resolution N]

Labels evenly spread frames of a Space in a copy, each labeller in a process of its own, and prints for each: frames and
seconds of CPU, frames a second of CPU (and of wall time, which depends on who else works here), the batch size chosen,
the most memory, and bytes a frame. Decoding and writing are counted; loading the weights is not.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tst.labellers.label import LabelConfig, Labelled, label
from tst.space import Space


def some_frames(space: Space, count: int, folder: Path) -> Path:
    """A Space with `count` frames of the RGB images of another, as links."""
    contents = space.file.model_copy(deep=True)
    share = min(1.0, count / len(space))
    for walk in space.walks.values():
        rows = np.unique(np.linspace(0, len(walk) - 1, max(1, round(share * len(walk)))).round().astype(int))
        target = folder / "walks" / walk.name
        (target / "rgb").mkdir(parents=True)
        pq.write_table(walk.frames.take(pa.array(rows)), target / "frames.parquet")
        contents.walks[walk.name] = walk.record.model_copy(update={"frames": len(rows), "modalities": ["rgb"]})
        for row in rows:
            file = walk.file("rgb", int(row))
            (target / "rgb" / file.name).symlink_to(file.resolve())
    contents.provenance = {}
    contents.save(folder / "space.json")
    return folder


def measure(space: Path, labeller: str, config: LabelConfig) -> None:
    """One line of JSON for the process that asked."""
    ends: list[float] = []

    def cpu() -> float:
        return time.process_time()

    import tst.labellers.label as stage

    original = stage.label_frames

    def timed(*arguments, **options):  # type: ignore[no-untyped-def]
        start = cpu()
        yield from original(*arguments, **options)
        ends.append(cpu() - start)

    stage.label_frames = timed
    (done,) = label(Space.open(space), [labeller], config=config)
    print(json.dumps({**vars(done), "cpu": ends[0]}))


def told(done: Labelled, cpu: float) -> str:
    return (
        f"{done.name:<16}{done.frames:>7}{cpu:>9.1f}{done.frames / cpu:>10.2f}{done.frames / done.seconds:>8.2f}"
        f"{done.batch_size:>7}{done.peak / 1e9:>7.2f}{done.bytes_per_frame / 1000:>9.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("space", type=Path)
    parser.add_argument("--with", dest="labellers", action="append", required=True)
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--resolution", type=int)
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    config = LabelConfig(resolution=options.resolution, batch_size=options.batch_size)
    if options.alone:
        measure(options.space, options.labellers[0], config)
        return
    print(f"{'':<16}{'frames':>7}{'CPU s':>9}{'per CPU s':>10}{'per s':>8}{'batch':>7}{'GB':>7}{'kB/frame':>9}")
    with tempfile.TemporaryDirectory() as folder:
        space = some_frames(Space.open(options.space), options.frames, Path(folder) / "space")
        more = [
            f"--{name}={value}"
            for name in ("resolution", "batch-size")
            if (value := vars(options)[name.replace("-", "_")])
        ]
        for labeller in options.labellers:
            command = [sys.executable, __file__, str(space), "--with", labeller, "--alone", *more]
            run = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=dict(os.environ))
            found = json.loads(run.stdout.splitlines()[-1])
            cpu = found.pop("cpu")
            print(told(Labelled(**found), cpu), flush=True)


if __name__ == "__main__":
    main()
