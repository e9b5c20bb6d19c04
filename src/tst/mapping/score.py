"""How well a model's predictions of one place agree with each other: a score that needs no labels.

Only votes are needed: how many frames saw a cell as each class. A model that says the same everywhere agrees with
itself perfectly, so every score but `consistency` is built to give it nothing.
"""

from typing import Any

import numpy as np

from tst.errors import UserError
from tst.mapping.predictions import Probabilities
from tst.mapping.space_map import build, fuse
from tst.mapping.views import MapConfig, Views
from tst.space.space import Space


def agreement_score(space: Space, probabilities: Probabilities, config: MapConfig = MapConfig()) -> dict[str, Any]:
    """Predict every mapped frame of a Space and score how far views of one place agree. No label is read.

    Raises:
        UserError: the Space cannot be mapped, or no place is seen twice.
    """
    views = Views(space, config)
    return {**score(fuse(build(views), probabilities).votes_VC), "frames": len(views), "left_out": views.notes}


def score(votes_VC: np.ndarray) -> dict[str, Any]:
    """Scores of votes (V, C) of any integer type, over cells that at least two frames saw; each cell counts alike.

    Returns:
        consistency: chance that two frames say the same of a place, in %. A constant prediction has 100.
        kappa: the same, corrected for chance (Fleiss, 1971): (consistency - e) / (1 - e), where two frames that draw
            from the classes' overall shares would agree in e; in %. 0 for a constant prediction.
        information: what one frame's class tells of another's at the same place, in bits; at most the entropy of the
            classes, so that few classes cannot tell much. 0 for a constant prediction.
        self_miou: mIoU of each frame's classes against the majority of the *other* frames, in %, over all classes that
            the model has. One that is never predicted counts 0, so that a constant prediction has 100 / C at most.
        classes_used: exp of the entropy of the predicted classes: how many it uses.
        cells: how many were seen twice.

    Raises:
        UserError: there are none.
    """
    views = votes_VC.sum(1, dtype=np.int64)
    votes = votes_VC[views >= 2].astype(np.float64)
    if not len(votes):
        raise UserError("no place was seen by two frames. Walk so that views overlap.")
    count = votes.sum(1, keepdims=True)
    share = (votes / count).mean(0)
    pairs = 1 / (count * (count - 1))
    # Classes of two different frames at one place, (C, C), summing to 1.
    together = ((votes * pairs).T @ votes - np.diag((votes * pairs).sum(0))) / len(votes)
    same, chance = float(np.trace(together)), float(share @ share)
    likely = np.outer(share, share)
    met = together > 1e-12
    entropy = -float((share[share > 0] * np.log(share[share > 0])).sum())
    return {
        "consistency": 100 * same,
        "kappa": 100 * (same - chance) / (1 - chance) if chance < 1 - 1e-9 else 0.0,
        "information": max(0.0, float((together[met] * np.log2(together[met] / likely[met])).sum())),
        "self_miou": _self_miou(votes),
        "classes_used": float(np.exp(entropy)),
        "cells": len(votes),
    }


def _self_miou(votes_VC: np.ndarray) -> float:
    """Of each vote against the majority of the others, which is the second class where that vote made the first."""
    cells, classes = votes_VC.shape
    each = np.arange(cells)
    first = votes_VC.argmax(1)
    most = votes_VC[each, first]
    others = votes_VC.copy()
    others[each, first] = -1
    second = others.argmax(1)
    without = np.where(most - 1 >= others[each, second], first, second)  # of the others, for a vote for `first`
    weight = 1 / votes_VC.sum(1)
    confusion = np.zeros((classes, classes))  # majority of the others, own vote
    np.add.at(confusion, (without, first), most * weight)
    others[each, first] = 0
    for vote in range(classes):
        confusion[:, vote] += np.bincount(first, others[:, vote] * weight, classes)
    union = confusion.sum(0) + confusion.sum(1) - np.diag(confusion)
    return float(100 * (np.diag(confusion) / np.maximum(union, 1e-12)).mean())
