"""Masks and edges of labellers: logits are scored as classes, soft edges are not brightened."""

import numpy as np
import pytest
import torch

from tst.modalities import MODALITIES


@pytest.mark.parametrize("name", ["ade20k", "coco_masks", "semantic"])
def test_masks_are_learnt_by_cross_entropy_over_known_pixels(name: str) -> None:
    modality = MODALITIES[name]
    logits = torch.randn(2, 5, 3, 3, generator=torch.Generator().manual_seed(0))
    target = torch.tensor([0.0, 1, 2, 3, 4, 255, 255, 0, 1]).view(1, 1, 3, 3).repeat(2, 1, 1, 1)
    z, valid = modality.normalise(target)
    picked = logits.log_softmax(1).gather(1, z.long())[valid]
    torch.testing.assert_close(modality.reconstruction_loss(logits, z, valid), -picked.mean())
    assert modality.reconstruction_loss(logits, z, torch.zeros_like(valid)) == 0


def test_only_the_annotated_mask_is_a_label() -> None:
    assert [name for name, modality in MODALITIES.items() if modality.is_label] == [
        "semantic",
        "instance",
        "confidence",
    ]


def test_soft_edges_keep_their_brightness_when_shrunk_and_lines_do_not_fade() -> None:
    soft = np.full((32, 32), 100, np.uint8)
    assert (MODALITIES["hed"].resize(soft, 8, 8) == 100).all()
    line = np.zeros((32, 32), np.uint8)
    line[:, 8] = 255
    assert (MODALITIES["sam_edges"].resize(line, 8, 8).max(1) == 255).all()
