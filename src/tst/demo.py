"""`tst demo`: the whole way on data made here: a house, a labelled set of other houses, a specialised model."""

from pathlib import Path

from pydantic import NonNegativeInt, PositiveInt

from tst.config import Config
from tst.evaluation.comparison import Comparison
from tst.houses.house import HouseConfig
from tst.houses.make import MakeConfig, make
from tst.presets import SpecializeConfig, preset
from tst.specialization.specialize import specialize

TRANSFER_SEED = 1_000_000
"""First of the transfer houses; no home has such a seed."""


class DemoConfig(Config):
    """The demo's data and training."""

    seed: NonNegativeInt = 0
    """Of the home: another one is another house."""
    rooms: PositiveInt = 4
    """Of the home."""
    frames: PositiveInt = 700
    """Unlabelled frames of the home."""
    evaluation_frames: PositiveInt = 150
    """Labelled frames of another walk in it, to measure on."""
    transfer_houses: PositiveInt = 16
    """Other houses, with other furniture and colours, where the labels come from."""
    transfer_frames: PositiveInt = 600
    """Labelled frames of them in all."""
    size: PositiveInt = 160
    """Side of the images in pixels."""
    specialize: SpecializeConfig = preset("demo")

    def spaces(self) -> dict[str, MakeConfig]:
        """What is made: the home, its evaluation, the transfer set."""
        home = HouseConfig(seed=self.seed, rooms=self.rooms)
        common = {"size": self.size}
        return {
            "home": MakeConfig(house=home, frames=self.frames, **common),
            "home-eval": MakeConfig(house=home, frames=self.evaluation_frames, walk_seed=1, labels=True, **common),
            "transfer": MakeConfig(
                house=HouseConfig(seed=TRANSFER_SEED, family="out"),
                houses=self.transfer_houses,
                frames=self.transfer_frames,
                labels=True,
                **common,
            ),
        }


def demo(out: Path, config: DemoConfig = DemoConfig()) -> Comparison:
    """Make the three Spaces and specialise a model; stopped, the same call goes on from there.

    Args:
        out: folder that gets `spaces/` and the run with `report.html`.

    Raises:
        UserError: `out` belongs to other settings, or the disk is full.
    """
    out = Path(out)
    made = {name: make(out / "spaces" / name, item) for name, item in config.spaces().items()}
    return specialize(
        made["home"].path,
        transfer=made["transfer"].path,
        evaluate=made["home-eval"].path,
        out=out / "run",
        config=config.specialize,
    )
