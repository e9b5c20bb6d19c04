"""Does self-training help in houses? python studies/selftraining_houses.py [--houses 3] [--out FOLDER]

The demo's data and sizes (`tst demo`), a house a seed: scratch and TST-MM, each alone and trained further on what its
views of the house agree on (docs/selftraining.md). Stopped, the same command goes on.
"""

import argparse
from pathlib import Path

from tst.demo import DemoConfig, demo
from tst.finetuning.self_training import SelfTrainConfig
from tst.loop import OptimConfig
from tst.presets import preset

SETTINGS = preset("demo").replace(
    rows=("scratch", "TST-MM"),
    selftrain=("all",),
    selftraining=SelfTrainConfig(steps=150, layer_decay=1.0, optim=OptimConfig(lr=5e-4, ema=0.98)),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--houses", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("runs/selftraining-houses"))
    options = parser.parse_args()
    for seed in range(options.houses):
        comparison = demo(options.out / f"house-{seed}", DemoConfig(seed=seed, specialize=SETTINGS))
        print(f"house {seed}")
        for row in comparison.rows:
            low, high = row.ci95
            print(f"  {row.name:<28} mIoU {row.miou:6.2f}  ({low:.2f} to {high:.2f} over frames)")
        for pair in comparison.differences:
            if pair.a == f"{pair.b} + self-training":
                print(f"  gained by {pair.b}: {pair.difference:+.2f} ({pair.ci95[0]:+.2f} to {pair.ci95[1]:+.2f})")


if __name__ == "__main__":
    main()
