"""Every sequence modality: strings of views, against a plain loop; damaged annotations; the text tokenizer's run."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from annotated import BOXES, CAPTIONS, CLASSES, SIZE, make_annotated, write
from tst.errors import UserError
from tst.files import read_json
from tst.sequences import SEQUENCES
from tst.sequences.boxes import Box, into_view, to_text
from tst.sequences.caption import names_a_side
from tst.sequences.report import picture, scores
from tst.sequences.text import EOS, FILE, PAD, TextTokenizer
from tst.sequences.train import text_folders, tokenize_text
from tst.space import Space
from tst.tokenizers.views import ViewConfig, Views, draw_views

NAMES = ("caption", "det")


@pytest.fixture
def space(tmp_path: Path) -> Space:
    return make_annotated(tmp_path)


@pytest.fixture
def views() -> Views:
    return draw_views(np.array([SIZE[::-1]] * 6), ViewConfig(per_frame=8))


@pytest.fixture
def text(space: Space, tmp_path: Path) -> TextTokenizer:
    return TextTokenizer.load(tokenize_text(space, tmp_path / "tokenizers", NAMES)["det"] / FILE)


def test_the_registry_has_them() -> None:
    assert tuple(SEQUENCES) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_ids_end_and_are_padded_and_the_key_is_of_the_contents(
    name: str, space: Space, views: Views, text: TextTokenizer
) -> None:
    sequence = SEQUENCES[name]
    assert sequence.is_in(space)
    tokens = sequence.tokens(space, views, text)
    assert not tokens.ids_RL[0].any()
    for row in tokens.ids_RL[1:].tolist():
        end = row.index(EOS)
        assert PAD not in row[:end] and not any(row[end + 1 :])
    assert tokens.count_NV.shape == (6, 8) and tokens.choice_NVK.shape[:2] == (6, 8)
    assert sequence.tokens(space, views, text).key == tokens.key
    path = sequence.file(next(iter(space.walks.values())))
    path.write_text(path.read_text() + " ")
    assert sequence.tokens(space, views, text).key != tokens.key


def test_captions_are_the_frames_and_mirrored_views_have_none_that_name_a_side(
    space: Space, views: Views, text: TextTokenizer
) -> None:
    tokens = SEQUENCES["caption"].tokens(space, views, text)
    assert views.flip_NV.any()
    for frame in range(6):
        for view in range(8):
            allowed = [t for t in CAPTIONS[frame] if not (views.flip_NV[frame, view] and names_a_side(t))]
            assert [text.decode(ids) for ids in tokens.all(frame, view)] == [t.lower() for t in allowed]


def test_sides() -> None:
    assert names_a_side("A lamp on the Right.") and names_a_side("the leftmost chair")
    assert not names_a_side("A bright lamp, copyright 2020")


def test_all_captions_are_drawn_and_without_a_generator_the_first(
    space: Space, views: Views, text: TextTokenizer
) -> None:
    tokens = SEQUENCES["caption"].tokens(space, views, text)
    frames, first = torch.full((300,), 3), torch.zeros(300, dtype=torch.long)
    drawn = tokens.draw(frames, first, torch.Generator().manual_seed(0))
    counts = drawn.unique(dim=0, return_counts=True)[1]
    assert len(counts) == 3 and counts.min() > 60
    assert drawn.dtype == torch.int64
    assert torch.equal(tokens.draw(frames[:2], first[:2], None)[0], tokens.ids_RL[tokens.choice_NVK[3, 0, 0]].long())
    assert not tokens.draw(torch.tensor([2]), torch.tensor([0]), None).any()  # has no caption


def test_boxes_are_those_of_each_view_by_a_plain_loop(space: Space, views: Views, text: TextTokenizer) -> None:
    tokens = SEQUENCES["det"].tokens(space, views, text)
    for frame in range(6):
        for view in range(8):
            expected = []
            for x, y, w, h, kind, score in BOXES[frame]:
                corners = np.array([[x / SIZE[0], y / SIZE[1], (x + w) / SIZE[0], (y + h) / SIZE[1]]])
                crop = views.boxes_NV4[frame, view].numpy().astype(float)[None]
                moved, kept = into_view(corners, crop, views.flip_NV[frame, view].numpy()[None])
                if kept[0] and score >= 0.6:
                    expected.append(Box(*moved[0].tolist(), CLASSES[kind]))
            (ids,) = tokens.all(frame, view)
            assert text.decode(ids) == to_text(expected)


def test_more_boxes_than_fit_are_left_out_whole(space: Space, views: Views, text: TextTokenizer) -> None:
    images = [{"id": 1, "file_name": "0002", "width": 100, "height": 100}]
    boxes = [{"image_id": 1, "category_id": 1, "bbox": [n % 10 * 9, n // 10 * 9, 8, 8]} for n in range(90)]
    write(space, "boxes", {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "wall"}]})
    tokens = SEQUENCES["det"].tokens(space, views, text)
    (ids,) = tokens.all(2, 0)
    assert len(ids) == 256 and ids[-1] == EOS and (len(ids) - 1) % 5 == 0
    (none,) = tokens.all(0, 0)
    assert none == [EOS]  # a frame without boxes says so


GOOD: dict[str, Any] = {"images": [{"id": 1, "file_name": "0000", "width": 9, "height": 9}], "annotations": []}
BOX = {"image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1]}
WALL = [{"id": 1, "name": "wall"}]


@pytest.mark.parametrize(
    ("name", "contents", "told"),
    [
        ("captions", "{", "not valid JSON"),
        ("captions", "[]", "not in COCO's layout"),
        ("captions", {**GOOD, "annotations": [{"image_id": 1}]}, r"annotations.0.caption"),
        ("captions", {**GOOD, "images": GOOD["images"] * 2}, "two images have the id 1"),
        ("captions", {**GOOD, "images": [{"id": 1, "file_name": "elsewhere"}]}, "none of its 1 images is a frame"),
        ("boxes", GOOD, "categories"),
        ("boxes", {**GOOD, "annotations": [{**BOX, "bbox": [0, 1]}], "categories": WALL}, "annotations.0.bbox"),
        ("boxes", {**GOOD, "annotations": [{**BOX, "bbox": [0, 0, 1, math.nan]}], "categories": WALL}, "bbox"),
        ("boxes", {**GOOD, "annotations": [BOX], "categories": []}, "category 1 is not listed"),
        (
            "boxes",
            {**GOOD, "images": [{"id": 1, "file_name": "0000"}], "annotations": [BOX], "categories": WALL},
            "image 1 has no width or height",
        ),
    ],
)  # fmt: skip
def test_damaged_annotations_are_told_in_one_line(
    name: str, contents: Any, told: str, space: Space, views: Views, text: TextTokenizer
) -> None:
    write(space, name, contents)
    sequence = next(item for item in SEQUENCES.values() if item.annotation == name)
    with pytest.raises(UserError, match=told) as error:
        sequence.tokens(space, views, text)
    assert f"{name}.json" in str(error.value) and "\n" not in str(error.value)


# The run of the text tokenizer --------------------------------------------------------------------------------


def test_the_run_is_done_once_and_belongs_to_its_strings(space: Space, tmp_path: Path) -> None:
    out = tmp_path / "run"
    folders = tokenize_text(space, out, ("rgb", "det", "caption"))
    assert folders == {"caption": out / "text", "det": out / "text"} == text_folders(out)
    before = (out / "text" / FILE).stat().st_mtime_ns
    tokenize_text(space, out, ("rgb", "det", "caption"))
    assert (out / "text" / FILE).stat().st_mtime_ns == before
    assert read_json(out / "text" / "done.json")["vocabulary"] > 4204
    write(space, "captions", GOOD)
    with pytest.raises(UserError, match="other"):
        tokenize_text(space, out, ("rgb", "det", "caption"))


def test_what_a_space_lacks_is_left_out(space: Space, tmp_path: Path) -> None:
    SEQUENCES["det"].file(next(iter(space.walks.values()))).unlink()
    assert list(tokenize_text(space, tmp_path / "one", NAMES)) == ["caption"]
    assert tokenize_text(space, tmp_path / "none", ("rgb", "depth")) == {}
    assert text_folders(tmp_path / "none") == {} and not (tmp_path / "none").exists()


def test_a_given_tokenizer_is_taken_as_it_is(space: Space, tmp_path: Path) -> None:
    given = TextTokenizer.train(["quite other words, other words"], [])
    given.save(tmp_path / "given.json")
    folder = tokenize_text(space, tmp_path / "run", NAMES, text=tmp_path / "given.json")["caption"]
    assert TextTokenizer.load(folder / FILE).key == given.key


# Scores --------------------------------------------------------------------------------


def test_scores_are_one_for_the_truth_and_of_others_for_those() -> None:
    boxes = [["v0=0 v1=0 v2=500 v3=500 bed"], ["v0=100 v1=0 v2=900 v3=500 bed"], [""], []]
    told = [texts[0] if texts else "" for texts in boxes]
    assert scores("det", told, boxes) == {
        "recall": 1.0,
        "precision": 1.0,
        "recall_of_others": 0.0,
        "precision_of_others": 0.0,
    }
    captions = [["a red bed", "a bed"], ["one lamp"]]
    found = scores("caption", ["a bed!", "two lamps"], captions)
    assert found == {"words": 0.5, "words_of_others": 0.0}
    assert scores("caption", ["x"], [[]]) == {"words": 0.0, "words_of_others": 0.0}


def test_the_picture_takes_any_strings() -> None:
    images = [np.zeros((40, 40, 3), np.uint8)] * 3
    told = {"caption": ["", "a " * 200, "日本"], "det": ["v0=", "v0=0 v1=0 v2=999 v3=999 日", ""]}
    real = {"caption": [[], ["a bed"], ["b", "c"]], "det": [[""], [], ["v0=0 v1=0 v2=9 v3=9 bed"]]}
    drawn = picture(images, told, real)
    assert drawn.dtype == np.uint8 and drawn.ndim == 3 and drawn.shape[2] == 3
