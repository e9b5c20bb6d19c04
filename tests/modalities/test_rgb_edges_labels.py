import cv2
import numpy as np
import pytest
import torch

from tst.modalities import MODALITIES
from tst.modalities.rgb import ssim, to_imagenet
from tst.modalities.semantic import palette


def slow_ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Wang et al. (2004), window by window, for one grey image."""
    position = np.arange(11) - 5
    window = np.exp(-(position[:, None] ** 2 + position[None] ** 2) / (2 * 1.5**2))
    window /= window.sum()
    values = []
    for top in range(a.shape[0] - 10):
        for left in range(a.shape[1] - 10):
            p, q = (x[top : top + 11, left : left + 11].astype(float) for x in (a, b))
            mean_p, mean_q = (window * p).sum(), (window * q).sum()
            covariance = np.array(
                [
                    [(window * (x - mx) * (y - my)).sum() for y, my in ((p, mean_p), (q, mean_q))]
                    for x, mx in ((p, mean_p), (q, mean_q))
                ]
            )
            c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
            values.append(
                (2 * mean_p * mean_q + c1)
                * (2 * covariance[0, 1] + c2)
                / ((mean_p**2 + mean_q**2 + c1) * (covariance[0, 0] + covariance[1, 1] + c2))
            )
    return float(np.mean(values))


def test_ssim_is_that_of_the_definition():
    generator = np.random.default_rng(0)
    a = cv2.GaussianBlur(generator.integers(0, 256, (20, 18), np.uint8), (5, 5), 1)
    b = np.clip(a + generator.normal(0, 12, a.shape), 0, 255).astype(np.uint8)
    x, y = (torch.from_numpy(image)[None, None].float() for image in (a, b))
    assert ssim(x, y).item() == pytest.approx(slow_ssim(a, b), abs=1e-5)
    assert ssim(x, x).item() == pytest.approx(1)
    white = torch.full((1, 3, 16, 16), 255.0)
    assert ssim(white, white - 1).item() == pytest.approx(1, abs=1e-3)
    assert torch.isfinite(ssim(x[..., :4, :4], y[..., :4, :4])).all()


def test_psnr():
    rgb = MODALITIES["rgb"]
    x = torch.full((2, 3, 16, 16), 100.0)
    assert rgb.reconstruction_metrics(x + 25.5, x)["psnr"] == pytest.approx(20, abs=1e-4)
    assert rgb.reconstruction_metrics(x, x)["psnr"] == 100


def test_rgb_values():
    x = torch.tensor([0.0, 127.5, 255.0]).view(1, 3, 1, 1)
    assert MODALITIES["rgb"].normalise(x)[0].flatten().tolist() == [-1, 0, 1]
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1) * 255
    assert to_imagenet(mean).abs().max() < 1e-5
    assert to_imagenet(
        mean + torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1) * 255
    ).mean().item() == pytest.approx(1)


def test_rgb_is_red_first_and_survives_jpeg(tmp_path):
    image = np.zeros((32, 32, 3), np.uint8)
    image[..., 0] = 200
    for name in ("a.jpg", "a.png"):
        MODALITIES["rgb"].save(tmp_path / name, image)
        assert np.abs(MODALITIES["rgb"].load(tmp_path / name).astype(int) - image).max() <= 3


def test_edges_of_a_square():
    image = np.full((64, 96, 3), 120, np.uint8)
    image[20:44, 30:60] = (160, 150, 170)
    edges = MODALITIES["edges"].derive({"rgb": image}, None)
    assert edges.shape == (64, 96) and set(np.unique(edges)) == {0, 255}
    assert 80 < (edges > 0).sum() < 130
    assert not edges[25:39, 35:55].any()
    flat = MODALITIES["edges"].derive({"rgb": np.full((64, 96, 3), 120, np.uint8)}, None)
    assert not flat.any()


@pytest.mark.parametrize("shrinkage", [2, 3, 4])
def test_a_thin_line_survives_shrinking(shrinkage):
    modality = MODALITIES["edges"]
    array = np.zeros((96, 96), np.uint8)
    array[:, 40] = 255
    resized = modality.resize(array, 96 // shrinkage, 96 // shrinkage)
    assert (resized.max(1) == 255).all() and ((resized > 0).sum(1) == 1).all()


def test_edge_f1_tolerates_one_pixel():
    modality = MODALITIES["edges"]
    x = torch.zeros(1, 1, 20, 20)
    x[..., 8] = 255
    assert modality.reconstruction_metrics(x.roll(1, -1), x)["edge_f1"] == pytest.approx(1)
    assert modality.reconstruction_metrics(x.roll(2, -1), x)["edge_f1"] == 0
    assert modality.reconstruction_metrics(torch.zeros_like(x), x)["edge_f1"] == 0
    assert np.isnan(modality.reconstruction_metrics(torch.zeros_like(x), torch.zeros_like(x))["edge_f1"])
    half = x.clone()
    half[..., :10, :] = 0
    assert modality.reconstruction_metrics(half, x)["edge_f1"] == pytest.approx(2 * 0.55 / 1.55, abs=1e-4)


def test_class_palette_is_well_separated():
    colours = palette()
    assert colours.shape == (256, 3) and not colours[255].any()
    assert len(np.unique(colours, axis=0)) == 256
    lab = cv2.cvtColor(colours[None].astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[0]
    for count, least in ((16, 35), (40, 20)):
        used = np.concatenate([lab[:count], lab[255:]])
        distance = np.linalg.norm(used[:, None] - used[None], axis=-1)
        assert distance[~np.eye(len(used), dtype=bool)].min() > least


def test_semantic_metrics():
    target = torch.tensor([[0.0, 0, 1, 1], [255, 255, 1, 1]]).view(1, 1, 2, 4)
    prediction = torch.tensor([[0.0, 1, 1, 1], [7, 7, 1, 0]]).view(1, 1, 2, 4)
    scores = MODALITIES["semantic"].reconstruction_metrics(prediction, target)
    assert scores["accuracy"] == pytest.approx(4 / 6)
    assert scores["miou"] == pytest.approx((1 / 3 + 3 / 5) / 2)
