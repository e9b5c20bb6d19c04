"""The label-free score against pairs counted one by one; and that a constant prediction has nothing."""

from itertools import permutations

import numpy as np
import pytest

from tst.errors import UserError
from tst.mapping.score import score


def said(votes: np.ndarray) -> list[list[int]]:
    return [[c for c, n in enumerate(row) for _ in range(n)] for row in votes.tolist()]


def test_scores_are_those_of_all_pairs_of_frames() -> None:
    votes = np.random.default_rng(0).integers(0, 4, (40, 3)).astype(np.uint16)
    cells = [cell for cell in said(votes) if len(cell) >= 2]
    together = np.zeros((3, 3))
    confusion = np.zeros((3, 3))
    for cell in cells:
        pairs = list(permutations(range(len(cell)), 2))
        for a, b in pairs:
            together[cell[a], cell[b]] += 1 / len(pairs) / len(cells)
        for own in range(len(cell)):
            others = np.bincount(cell[:own] + cell[own + 1 :], minlength=3)
            full = np.bincount(cell, minlength=3)
            winners = np.flatnonzero(others == others.max())
            majority = full.argmax() if full.argmax() in winners else winners[0]  # ties: the one that leads in all
            confusion[majority, cell[own]] += 1 / len(cell)
    share = np.mean([np.bincount(cell, minlength=3) / len(cell) for cell in cells], 0)
    expected = score(votes)
    same, chance = np.trace(together), (share**2).sum()
    assert expected["consistency"] == pytest.approx(100 * same)
    assert expected["kappa"] == pytest.approx(100 * (same - chance) / (1 - chance))
    assert expected["information"] == pytest.approx((together * np.log2(together / np.outer(share, share))).sum())
    right = np.diag(confusion)
    assert expected["self_miou"] == pytest.approx(100 * (right / (confusion.sum(0) + confusion.sum(1) - right)).mean())
    assert expected["cells"] == len(cells)


def test_a_constant_prediction_has_nothing_and_a_perfect_one_everything() -> None:
    constant = np.zeros((50, 4), np.uint16)
    constant[:, 2] = 5
    found = score(constant)
    assert (found["consistency"], found["kappa"], found["information"]) == (100, 0, 0)
    assert found["self_miou"] == 25 and found["classes_used"] == pytest.approx(1)
    perfect = score(np.repeat(np.eye(4, dtype=np.uint16) * 3, 10, 0))
    assert perfect["kappa"] == pytest.approx(100) and perfect["self_miou"] == pytest.approx(100)
    assert perfect["information"] == pytest.approx(2) and perfect["classes_used"] == pytest.approx(4)


def test_chance_has_no_kappa_and_noise_lowers_every_score() -> None:
    random = np.random.default_rng(1)
    shares = np.array([0.6, 0.3, 0.1])
    chance = score(random.multinomial(6, shares, 20_000))
    assert abs(chance["kappa"]) < 1 and chance["information"] < 0.01
    true = random.choice(3, 20_000, p=shares)
    better, worse = (
        score(np.stack([random.multinomial(6, sure * np.eye(3)[c] + (1 - sure) / 3) for c in true[:5000]]))
        for sure in (0.8, 0.4)
    )
    assert all(better[name] > worse[name] for name in ("consistency", "kappa", "information", "self_miou"))


def test_places_seen_once_say_nothing() -> None:
    with pytest.raises(UserError, match="no place was seen by two frames"):
        score(np.eye(3, dtype=np.uint16))
