"""`tokenize`: a run folder for each modality, measured on frames kept back, done once."""

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tst.readers
import tst.tokenizers.train
from captures import write_labelled, write_nerfstudio
from tst.errors import UserError
from tst.files import read_json
from tst.loop import OptimConfig
from tst.modalities.derive import derive
from tst.space import Space
from tst.tokenizers.tokenizer import TokenizerModelConfig
from tst.tokenizers.train import TokenizeConfig, held_back_frames, load_tokenizer, tokenize
from tst.tokenizers.views import ViewConfig

NAMES = ["rgb", "depth", "normals", "edges"]
CONFIG = TokenizeConfig(
    views=ViewConfig(resolution=32, per_frame=2),
    model=TokenizerModelConfig(width=64, encoder_depth=1, decoder_depth=1, levels=(4, 4, 3)),
    optim=OptimConfig(batch_size=4),
    steps=3,
    held_back=0.3,
)


@pytest.fixture(scope="module")
def spaces(tmp_path_factory: pytest.TempPathFactory) -> tuple[Space, Space]:
    folder = tmp_path_factory.mktemp("train")
    walk = tst.readers.read("nerfstudio", write_nerfstudio(folder / "walk", labels=False), folder / "space")
    labelled = tst.readers.read("labelled", write_labelled(folder / "labelled"), folder / "labelled_space")
    return derive(walk), labelled


@pytest.fixture(scope="module")
def made(spaces: tuple[Space, Space], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return run(spaces, tmp_path_factory.mktemp("tokenizers"))


def run(spaces: tuple[Space, Space], out: Path, config: TokenizeConfig = CONFIG) -> dict[str, Path]:
    space, labelled = spaces
    return tokenize(
        space, out, transfer=labelled, transfer_modalities=("rgb", "depth"), config=config, precision="32-true"
    )


def times(folder: Path) -> dict[str, int]:
    return {path.as_posix(): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_every_modality_is_measured_and_drawn(made: dict[str, Path]) -> None:
    assert list(made) == NAMES
    own = {"rgb": {"psnr", "ssim"}, "depth": {"absrel", "delta1"}}
    for name, folder in made.items():
        done = read_json(folder / "done.json")
        metrics = done["metrics"]
        common = {"codes_used", "vocabulary", "bits_per_token", "frames"}
        assert metrics.keys() >= common | own.get(name, set()) and len(metrics) > len(common)
        assert all(math.isfinite(value) for value in metrics.values())
        assert metrics["frames"] == 2 and metrics["vocabulary"] == 48 and 1 <= metrics["codes_used"] <= 8
        assert 0 <= metrics["bits_per_token"] <= math.log2(metrics["codes_used"]) + 0.01
        assert done["steps"] == 3
        picture = cv2.imread(str(folder / "reconstruction.png"))
        assert picture is not None and picture.shape == (64, 2 * 32, 3)
        assert load_tokenizer(folder).modality == name


def test_a_second_time_nothing_is_done(
    spaces: tuple[Space, Space], made: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*arguments: object, **options: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(tst.tokenizers.train, "fit", never)
    out = made["rgb"].parent
    before = times(out)
    assert run(spaces, out) == made
    assert times(out) == before


def test_other_settings_in_the_same_folder_are_refused(spaces: tuple[Space, Space], made: dict[str, Path]) -> None:
    with pytest.raises(UserError, match=r"other settings \(config.steps: 3 -> 4\)"):
        run(spaces, made["rgb"].parent, CONFIG.replace(steps=4))


def test_modalities_that_the_space_lacks_are_left_out_and_none_at_all_says_what_to_run(
    labelled_space: Space, tmp_path: Path
) -> None:
    config = CONFIG.replace(modalities=("edges", "depth"), steps=1)
    assert list(tokenize(labelled_space, tmp_path / "a", config=config, precision="32-true")) == ["depth"]
    with pytest.raises(UserError, match=r"has none of edges. Run `tst derive"):
        tokenize(labelled_space, tmp_path / "b", config=CONFIG.replace(modalities=("edges",)))


def test_a_walk_without_any_known_depth_where_it_is_measured_still_finishes(walk_space: Space, tmp_path: Path) -> None:
    for walk, index in walk_space.frames():
        if held_back_frames(6, 0.3)[index]:
            cv2.imwrite(str(walk.file("depth", index)), np.zeros((40, 48), np.uint16))
    config = CONFIG.replace(modalities=("depth",), steps=1)
    folder = tokenize(walk_space, tmp_path / "tokenizers", config=config, precision="32-true")["depth"]
    assert read_json(folder / "done.json")["metrics"]["absrel"] is None


@pytest.mark.parametrize("frames", [1, 2])
def test_a_walk_too_short_to_keep_frames_back_is_refused(frames: int, tmp_path: Path) -> None:
    capture = write_nerfstudio(tmp_path / "walk", frames=frames, labels=False)
    space = tst.readers.read("nerfstudio", capture, tmp_path / "space")
    config = CONFIG.replace(modalities=("rgb",), steps=1, held_back=0.9)
    if frames == 1:
        with pytest.raises(UserError, match="1 frame"):
            tokenize(space, tmp_path / "out", config=config)
    else:
        assert "rgb" in tokenize(space, tmp_path / "out", config=config, precision="32-true")


@settings(deadline=None)
@given(count=st.integers(2, 3000), share=st.floats(0.001, 0.999))
def test_frames_held_back_are_as_many_as_asked_and_evenly_spread(count: int, share: float) -> None:
    mask = held_back_frames(count, share)
    assert mask.shape == (count,) and mask.dtype == bool
    assert mask.sum() == min(count - 1, max(1, round(count * share)))
    assert np.array_equal(mask, held_back_frames(count, share))
    where = np.flatnonzero(mask)
    gaps = np.diff(where)
    assert len(gaps) == 0 or gaps.max() - gaps.min() <= 1
    assert where[0] <= count / mask.sum() and count - 1 - where[-1] <= count / mask.sum()
