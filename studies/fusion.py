"""What fusing views is worth: the table of self-training, with its controls. python studies/fusion.py RUN [options]

RUN is a folder of `tst specialize` that has fine-tuned the rows; its Spaces are those it was run with. For the first
row, and for each of its seeds: itself; trained further on its own single views; on its fused labels, round by round;
and what its fused map says with depth and pose (an oracle). For the other rows: themselves, and trained further if
`--selftrain` names them. Differences are to the first row, paired on the same frames of the evaluation Space, whose
labels only measure. Stopped, the same command goes on.
"""

import argparse
import itertools
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from tst.evaluation.comparison import Comparison, Difference, compare
from tst.evaluation.metrics import FrameConfusions
from tst.files import read_json
from tst.finetuning.self_training import SelfTrainConfig, self_train
from tst.mapping.oracle import read_map
from tst.mapping.predictions import CopiesConfig, Model
from tst.mapping.space_map import build, fuse
from tst.mapping.views import Views
from tst.presets import SpecializeConfig
from tst.space.cache import fingerprint
from tst.space.space import Space
from tst.specialization.rows import folder_of, with_teachers
from tst.specialization.specialize import evaluated


class Study:
    """A run of `tst specialize`, its Spaces, and the evaluations of its models.

    Args:
        run: its folder.
        seeds: at most so many of each row.
    """

    def __init__(self, run: Path, seeds: int) -> None:
        self.run, self.seeds = run, seeds
        config = read_json(run / "config.json")
        self.space, self.transfer, self.labelled = (
            Space.open(config["inputs"][name]) for name in ("space", "transfer", "evaluate")
        )
        self.frames = fingerprint(self.labelled, self.labelled.modalities())
        self.settings = SpecializeConfig.model_validate(config["config"])

    def models(self, row: str) -> list[Path]:
        """Fine-tuned models of a row, by seed."""
        found = sorted((self.run / "transfer" / folder_of(row)).glob("seed-*"))
        finished = [path for path in found if (path / "done.json").exists()][: self.seeds]
        if not finished:
            raise SystemExit(f"{self.run}: has no finished model of {row}. Run `tst specialize` with it first.")
        return finished

    def measured(self, model: Path) -> FrameConfusions:
        """Confusions of a model on the evaluation Space, those of `tst specialize` where it measured the model."""
        folder = evaluated(model, self.labelled, self.frames, self.settings.predict)
        return FrameConfusions.load(folder / "confusions.npz")

    def trained(self, row: str, config: SelfTrainConfig, into: str, teachers: Sequence[str] = ()) -> list[Path]:
        """Run folders of self-training of a row, by seed; those that `tst specialize` makes are taken."""
        folder = folder_of(row + with_teachers(teachers))
        return [
            self_train(
                model,
                self.space,
                self.transfer,
                self.run / into / folder / model.name,
                teachers=[self.run / "off-the-shelf" / name for name in teachers],
                config=config.replace(seed=int(model.name.removeprefix("seed-"))),
            )
            for model in self.models(row)
        ]

    def map(self, model: Path) -> FrameConfusions:
        """What the map of a model's predictions says on the evaluation Space."""
        file = model / f"map-{self.frames}.npz"
        if not file.exists():
            copies = self.settings.selftraining.copies
            views = Views(self.space, self.settings.selftraining.fuse.map)
            space_map = build(views)
            sums = fuse(space_map, Model(model, self.space, copies))
            own = Model(model, self.labelled, CopiesConfig(flip=False, scales=(1.0,)))
            read_map((space_map, sums), own, self.labelled)[0].save(file)
        return FrameConfusions.load(file)


def rounds_of(folders: list[Path]) -> Iterator[list[Path]]:
    """Models after each round that all seeds came to."""
    for number in itertools.count(1):
        found = [folder / f"round-{number}" / "model" for folder in folders]
        if not all((path / "done.json").exists() for path in found):
            return
        yield found


def fusion(
    run: Path,
    rows: Sequence[str],
    *,
    selftrain: Collection[str] = (),
    seeds: int = 3,
    teachers: Sequence[str] = (),
    single_rounds: int = 1,
    oracle: bool = True,
) -> Comparison:
    """Train what is missing, measure all, write `RUN/fusion.json`.

    Args:
        run: folder of `tst specialize`.
        rows: as in its report; the first is what all others are compared to, and gets every control.
        selftrain: further rows that are trained on fused views.
        seeds: at most so many of each row.
        teachers: names of off-the-shelf models in the run: the first row is also trained with them as further teachers.
        single_rounds: of the control on single views; 0 for none.
        oracle: also read the map with depth and pose.
    """
    study = Study(run, seeds)
    first, settings = rows[0], study.settings.selftraining
    found: dict[str, list[FrameConfusions]] = {}

    def add(name: str, models: list[Path]) -> None:
        found[name] = [study.measured(model) for model in models]

    add(first, study.models(first))
    if oracle:
        found["its map, read with depth and pose"] = [study.map(model) for model in study.models(first)]
    if single_rounds:
        single = settings.replace(rounds=single_rounds, fuse={"single": True})
        alone = study.trained(first, single, "single-view")
        for number, models in enumerate(rounds_of(alone), 1):
            add(f"{first} + single views, round {number}", models)
        add(f"{first} + single views, as chosen without labels", alone)
    fused = study.trained(first, settings, "selftrain")
    for number, models in enumerate(rounds_of(fused), 1):
        add(f"{first} + fused views, round {number}", models)
    add(f"{first} + fused views, as chosen without labels", fused)
    if teachers:
        taught = study.trained(first, settings, "selftrain", teachers)
        for number, models in enumerate(rounds_of(taught), 1):
            add(f"{first} + fused views{with_teachers(teachers)}, round {number}", models)
        for name in teachers:
            add(f"{name} off the shelf", [run / "off-the-shelf" / name])
    for row in rows[1:]:
        add(row, study.models(row))
        if row in selftrain:
            add(f"{row} + fused views, as chosen without labels", study.trained(row, settings, "selftrain"))
    comparison = compare(found, space=study.labelled.name)
    comparison.save(run / "fusion.json")
    return comparison


def table(comparison: Comparison) -> str:
    """Markdown: each line with its difference to the first."""
    first = comparison.rows[0]
    lines = ["| | seeds | mIoU | times the first | difference (frames; blocks; seeds) |", "|---|---|---|---|---|"]
    for row in comparison.rows:
        spread = f" ± {row.seed_sd:.1f}" if row.seed_sd is not None else ""
        told = "" if row is first else _told(comparison.difference(row.name, first.name))
        lines.append(
            f"| {row.name} | {len(row.seeds)} | {row.miou:.1f}{spread} | {row.miou / first.miou:.2f} | {told} |"
        )
    return "\n".join(lines)


def _told(found: Difference) -> str:
    intervals = [found.ci95, found.ci95_blocks, *([found.ci95_seeds] if found.ci95_seeds else [])]
    return f"{found.difference:+.1f} ({'; '.join(f'{low:.1f} to {high:.1f}' for low, high in intervals)})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--rows", nargs="+", default=["dinov2-s fine-tuned"], help="as in its report")
    parser.add_argument("--selftrain", nargs="*", default=[], help="further rows that are trained on fused views")
    parser.add_argument(
        "--teachers", nargs="*", default=[], help="off-the-shelf models of the run (docs/selftraining.md)"
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--single-rounds", type=int, default=1, help="of the control; 0 for none")
    parser.add_argument("--no-map", action="store_true", help="without the oracle")
    options = parser.parse_args()
    found = fusion(
        options.run,
        options.rows,
        selftrain=options.selftrain,
        teachers=options.teachers,
        seeds=options.seeds,
        single_rounds=options.single_rounds,
        oracle=not options.no_map,
    )
    print(table(found))


if __name__ == "__main__":
    main()
