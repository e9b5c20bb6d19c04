import numpy as np
import pytest

from tst.errors import UserError
from tst.evaluation.metrics import FrameConfusions, confusion, summarise


def naive(prediction, truth, classes, ignore):
    matrix = np.zeros((classes, classes), np.int64)
    for p, t in zip(prediction.ravel(), truth.ravel(), strict=True):
        if t != ignore:
            matrix[t, p] += 1
    return matrix


@pytest.mark.parametrize("dtype", [np.uint8, np.int64])
def test_confusion_equals_a_loop_over_pixels(dtype):
    random = np.random.default_rng(0)
    truth = random.integers(0, 6, (23, 31))
    truth[truth == 5] = 255
    prediction = random.integers(0, 5, truth.shape)
    found = confusion(prediction.astype(dtype), truth.astype(dtype), 5)
    np.testing.assert_array_equal(found, naive(prediction, truth, 5, 255))
    assert found.dtype == np.int64 and found.sum() == (truth != 255).sum()


def test_scores_equal_scores_by_hand():
    random = np.random.default_rng(1)
    truth = random.integers(0, 4, (3, 20, 20))  # class 4 is absent from the truth, but predicted
    prediction = np.where(random.random(truth.shape) < 0.6, truth, random.integers(0, 5, truth.shape))
    summary = summarise(np.stack([confusion(p, t, 5) for p, t in zip(prediction, truth, strict=True)]))
    iou = [100 * ((prediction == c) & (truth == c)).sum() / ((prediction == c) | (truth == c)).sum() for c in range(4)]
    np.testing.assert_allclose(summary.iou[:4], iou)
    assert np.isnan(summary.iou[4]) and np.isnan(summary.class_accuracy[4]) and not summary.present[4]
    assert summary.miou == pytest.approx(np.mean(iou))
    assert summary.pixel_accuracy == pytest.approx(100 * (prediction == truth).mean())
    accuracy = [100 * (prediction[truth == c] == c).mean() for c in range(4)]
    assert summary.mean_class_accuracy == pytest.approx(np.mean(accuracy))
    assert summary.share.sum() == pytest.approx(100)


def test_nothing_labelled_has_no_score():
    summary = summarise(confusion(np.zeros((2, 2), np.uint8), np.full((2, 2), 255, np.uint8), 3)[None])
    assert np.isnan(summary.miou) and np.isnan(summary.pixel_accuracy)


@pytest.mark.parametrize(
    ("prediction", "truth", "message"),
    [
        (np.full((2, 2), 3), np.zeros((2, 2), int), "prediction: label 3"),
        (np.zeros((2, 2), int), np.full((2, 2), -1), "truth: label -1"),
        (np.zeros((2, 3), int), np.zeros((2, 2), int), "differ in size"),
    ],
)
def test_wrong_labels_are_named(prediction, truth, message):
    with pytest.raises(UserError, match=message):
        confusion(prediction, truth, 3)


def test_saved_and_loaded(tmp_path):
    mask = np.array([[0, 1], [1, 255]])
    frames = [("a/0", "küche", mask % 2, mask), ("a/1", None, mask % 2, mask)]
    made = FrameConfusions.from_masks(frames, ["wall", "floor"])
    made.save(tmp_path / "c.npz")
    found = FrameConfusions.load(tmp_path / "c.npz")
    np.testing.assert_array_equal(found.matrices, made.matrices)
    assert (found.ids, found.parts, found.class_names) == (["a/0", "a/1"], ["küche", None], ["wall", "floor"])
    assert [path.name for path in tmp_path.iterdir()] == ["c.npz"]


@pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\x03\x04 cut short"])
def test_damaged_file(tmp_path, content):
    path = tmp_path / "c.npz"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"c\.npz.*evaluate again"):
        FrameConfusions.load(path)


def test_missing_file(tmp_path):
    with pytest.raises(UserError, match="not found"):
        FrameConfusions.load(tmp_path / "c.npz")


def test_wrong_mask_names_the_frame():
    with pytest.raises(UserError, match="frame a/7: prediction: label 9"):
        FrameConfusions.from_masks([("a/7", None, np.full((2, 2), 9), np.zeros((2, 2), int))], ["wall"])
