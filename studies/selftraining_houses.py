"""Does self-training help in houses? python studies/selftraining_houses.py [--houses 3] [--out FOLDER]

The demo's data and sizes (`tst demo`), a house a seed: TST-MM and scratch, each alone and trained further on what its
views of the house agree on, with the controls of `studies/fusion.py` (docs/selftraining.md). All houses share one
labelled set of others. Stopped, the same command goes on.
"""

import argparse
from pathlib import Path

import numpy as np
from fusion import fusion, table

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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--houses", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("runs/selftraining-houses"))
    options = parser.parse_args()
    differences: dict[str, list[float]] = {}
    for seed in range(options.houses):
        folder = options.out / f"house-{seed}"
        shared = folder / "spaces" / "transfer"
        if seed and not shared.exists():
            shared.parent.mkdir(parents=True, exist_ok=True)
            shared.symlink_to((options.out / "house-0" / "spaces" / "transfer").resolve())
        demo(folder, DemoConfig(seed=seed, specialize=SETTINGS))
        found = fusion(folder / "run", ["TST-MM", "scratch"], selftrain=["scratch"], single_rounds=3)
        print(f"\nhouse {seed}\n\n{table(found)}", flush=True)
        for row in found.rows[1:]:
            differences.setdefault(row.name, []).append(found.difference(row.name, "TST-MM").difference)
    print(f"\nmean difference to TST-MM over {options.houses} houses (each)")
    for name, values in differences.items():
        print(f"  {name:<52} {np.mean(values):+.1f} ({', '.join(f'{value:+.1f}' for value in values)})")


if __name__ == "__main__":
    main()
