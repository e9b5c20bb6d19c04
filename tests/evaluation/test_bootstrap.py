import numpy as np
import pytest

from tst.evaluation.bootstrap import difference_interval, frame_blocks, interval, miou_interval, p_value, resampled_miou
from tst.evaluation.metrics import summarise


def test_a_resample_is_scored_as_its_frames(draw_frames):
    matrices = draw_frames(7, 0.5, world=0, model=0)
    scores = resampled_miou([matrices], resamples=5, seed=3)
    draws = np.random.default_rng(3).multinomial(7, np.full(7, 1 / 7), size=5)
    expected = [summarise(np.repeat(matrices, draw, axis=0)).miou for draw in draws]
    np.testing.assert_allclose(scores[:, 0], expected)


def test_seeds_are_averaged_within_a_resample(draw_frames):
    a, b = draw_frames(9, 0.5, world=0, model=0), draw_frames(9, 0.7, world=0, model=1)
    scores = resampled_miou([np.stack([a, b]), a, b], resamples=20)
    np.testing.assert_allclose(scores[:, 0], scores[:, 1:].mean(1))


def test_same_seed_same_scores_however_it_is_chunked(monkeypatch, draw_frames):
    matrices = draw_frames(11, 0.5, world=0, model=0)
    whole = resampled_miou([matrices], resamples=50)
    monkeypatch.setattr("tst.evaluation.bootstrap._BUDGET", 33)
    np.testing.assert_allclose(resampled_miou([matrices], resamples=50), whole)
    assert (resampled_miou([matrices], resamples=50, seed=1) != whole).any()


def test_interval_covers_the_true_score(draw_frames):
    """Draw frames from a large population again and again: about 95 % of the intervals hold its mIoU."""
    population = draw_frames(20_000, 0.5, world=0, model=0)
    true = summarise(population).miou
    random = np.random.default_rng(1)
    covered = 0
    for i in range(200):
        low, high = miou_interval(population[random.choice(20_000, 80)], resamples=300, seed=i)
        covered += low <= true <= high
    assert 0.88 <= covered / 200 <= 0.99


def test_pairing_narrows_the_interval_of_a_difference(draw_frames):
    a, b = draw_frames(100, 0.52, world=0, model=0), draw_frames(100, 0.5, world=0, model=1)
    low, high = difference_interval(a, b)
    alone_a, alone_b = resampled_miou([a], seed=0)[:, 0], resampled_miou([b], seed=1)[:, 0]
    unpaired = interval(alone_a - alone_b)
    assert high - low < 0.5 * (unpaired[1] - unpaired[0])
    assert low > 0 > unpaired[0]


def test_blocks_widen_the_interval_of_frames_that_repeat(draw_frames):
    matrices = np.repeat(draw_frames(20, 0.5, world=0, model=0), 10, axis=0)
    blocks = frame_blocks([str(i) for i in range(200)], [None] * 200, 10)
    single, grouped = miou_interval(matrices), miou_interval(matrices, blocks=blocks)
    assert grouped[1] - grouped[0] > 2 * (single[1] - single[0])


def test_blocks_end_at_parts_and_walks():
    ids = ["a/0", "a/1", "a/2", "a/3", "b/0", "b/1", "b/2"]
    parts = ["x", "x", "x", "y", "y", "y", "y"]
    np.testing.assert_array_equal(frame_blocks(ids, parts, 2), [0, 0, 1, 2, 3, 3, 4])
    np.testing.assert_array_equal(frame_blocks(ids, parts, 1), range(7))


def test_a_class_that_a_resample_misses_is_left_out_of_it():
    matrices = np.zeros((2, 2, 2), np.int64)
    matrices[0] = [[10, 0], [0, 0]]
    matrices[1] = [[5, 5], [0, 10]]
    scores = resampled_miou([matrices], resamples=100)[:, 0]
    only_first = 100.0  # the mean over the one class there
    assert np.isfinite(scores).all() and (scores == only_first).any()


@pytest.mark.parametrize(("samples", "low", "high"), [(np.ones(1999), 0, 0.002), (np.linspace(-1, 1, 1999), 0.99, 1)])
def test_p_value(samples, low, high):
    assert low < p_value(samples) <= high
