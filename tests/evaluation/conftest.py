import numpy as np
import pytest

from tst.evaluation.metrics import FrameConfusions

CLASSES = ["wall", "floor", "chair", "ghost"]  # the last one is absent from every truth


def confusions(frames, quality, *, world, model, classes=4, spread=0.15):
    """(F, C, C); `world` seeds what is seen and how hard each frame is, `model` seeds the model's own luck."""
    scene, luck = np.random.default_rng(world), np.random.default_rng(1000 + model)
    truth = (scene.dirichlet(np.ones(classes - 1), frames) * 4000).astype(int)
    hard = scene.normal(0, spread, frames)
    right = np.clip(quality + hard[:, None] + luck.normal(0, 0.03, truth.shape), 0.02, 0.98)
    matrices = np.zeros((frames, classes, classes), np.int64)
    for c in range(classes - 1):
        hits = (truth[:, c] * right[:, c]).astype(int)
        matrices[:, c, c] = hits
        matrices[:, c, (c + 1) % (classes - 1)] += truth[:, c] - hits
    return matrices


@pytest.fixture
def draw_frames():
    return confusions


@pytest.fixture
def results():
    """Two models with two seeds each, on 60 frames of two floors."""
    ids = [f"walk/{i:05d}" for i in range(60)]
    parts = ["upper"] * 35 + ["lower"] * 25

    def model(quality, first):
        return [
            FrameConfusions(confusions(60, quality, world=0, model=first + seed), ids, parts, CLASSES)
            for seed in range(2)
        ]

    return {"scratch": model(0.5, 0), "TST-MM": model(0.6, 10)}
