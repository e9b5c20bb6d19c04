import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from tst.errors import UserError
from tst.evaluation import charts
from tst.evaluation.comparison import compare
from tst.evaluation.metrics import FrameConfusions
from tst.evaluation.report import class_palette, even_indices, write_report

EVIL = '<script>alert("x")</script>&'


class Page(HTMLParser):
    """Checks that tags nest, and gathers ids, tags and everything that a browser could load."""

    VOID = ("meta", "link", "img", "br", "rect", "line", "path", "polyline")

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.ids, self.loads, self.words = [], [], [], [], []
        self.feed(html)
        assert not self.open, self.open
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        values = dict(attributes)
        self.ids += [values["id"]] if "id" in values else []
        self.loads += [values[name] for name in ("src", "href", "srcset", "data", "poster") if name in values]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.words.append(data)


def picture():
    buffer = io.BytesIO()
    Image.new("RGB", (60, 20), "red").save(buffer, "PNG")
    return buffer.getvalue()


def everything():
    random = np.random.default_rng(0)
    truth = random.integers(0, 3, (24, 32))
    truth[:4] = 255
    frame = {
        "id": f"walk/{EVIL}",
        "part": "upper",
        "rgb": random.integers(0, 255, (48, 64, 3)).astype(np.uint8),
        "truth": truth,
        "predictions": {"scratch": np.zeros((24, 32), int), "TST-MM": np.where(truth == 255, 0, truth)},
    }
    rows = [{"step": 10 * i, "loss": 5 - 0.1 * i, "loss/rgb": 4.0, "loss/depth": 3.0} for i in range(20)]
    rows += [{"step": 100, "val_loss": 4.2, "val_losses": {"rgb": 4.1, "depth": float("nan")}}, {"note": EVIL}]
    return {
        "title": EVIL,
        "curves": {f"TST-MM {EVIL}": rows},
        "tokenizers": [{"modality": "rgb", "metrics": {"psnr": 24.3}, "picture": picture()}],
        "predictions": [frame] * 20,
        "data": {"frames": 514, "modalities": ["rgb", EVIL]},
        "compute": [{"stage": "pretrain", "seconds": 3700.0, "samples": 1_000_000, "device": "a GPU"}],
        "licences": [{"what": "labels", "licence": EVIL, "note": None}],
        "provenance": {"version": "0.1.0", "seed": [0, 1], "command": "tst specialize"},
        "warnings": [f"beware {EVIL}"],
    }


SECTIONS = "comparison differences classes parts confusion predictions pretraining tokenizers data compute licences"


def test_all_sections_are_there_and_nothing_is_loaded(results, tmp_path):
    extra = {"TST-MM": {"parameters": 5_000_000, "pretrain_seconds": 90.0}}
    out = write_report(tmp_path, compare(results, space=EVIL, extra=extra), **everything())
    assert out == tmp_path / "report.html"
    html = out.read_text()
    page = Page(html)
    assert [*SECTIONS.split(), "provenance", "reading"] == page.ids
    assert page.loads and all(load.startswith(("data:", "#")) for load in page.loads)
    assert {load[1:] for load in page.loads if load.startswith("#")} == set(page.ids)
    assert not re.search(r"https?:|@import|url\(", html)
    assert "script" not in page.tags and EVIL not in html
    assert html.count('loading="lazy"') == html.count("<img")
    assert "TST-MM beats scratch by" in page.text and "8 frames at even distances" in page.text
    assert f"beware {EVIL}" in page.text and "1 h 02 min" in page.text and "5M" in page.text
    assert not re.search(r"\bnan\b", re.sub(r"data:image/[^\"]*", "", html))


def test_missing_parts_are_left_out(results, tmp_path):
    page = Page(write_report(tmp_path / "a.html", compare(results, space="flat")).read_text())
    assert page.ids == ["comparison", "differences", "classes", "parts", "confusion", "reading"]


def test_one_model_one_seed_one_frame(tmp_path):
    matrix = np.zeros((1, 4, 4), np.int64)
    matrix[0, 0, 3] = 5  # all wrong, and called a class that is absent
    only = FrameConfusions(matrix, ["w/0"], [None], ["a", "b", "c", "ghost"])
    page = Page(write_report(tmp_path, compare({"mine": [only]}, space="flat")).read_text())
    assert page.ids == ["comparison", "classes", "confusion", "reading"]
    assert "nothing was compared with it" in page.text and "Not in this evaluation" in page.text


def test_many_classes_and_models_without_a_row(tmp_path):
    names = [f"class {i}" for i in range(300)]
    matrices = np.eye(300, dtype=np.int64)[None]
    found = compare({"a": [FrameConfusions(matrices, ["w/0"], [None], names)]}, space="flat")
    truth = np.arange(300).reshape(15, 20)
    frame = {"id": "0", "rgb": np.zeros((15, 20, 3), np.uint8), "truth": truth, "predictions": {"other": truth}}
    Page(write_report(tmp_path, found, predictions=[frame], ignore=65535).read_text())


def test_a_report_that_is_too_large_is_refused(results, tmp_path, monkeypatch):
    monkeypatch.setattr("tst.evaluation.report.MAX_BYTES", 1000)
    with pytest.raises(UserError, match="over the limit"):
        write_report(tmp_path, compare(results, space="flat"))
    assert not list(tmp_path.iterdir())


def test_a_damaged_picture_is_named(results, tmp_path):
    with pytest.raises(UserError, match="tokenizer of rgb"):
        write_report(
            tmp_path,
            compare(results, space="flat"),
            tokenizers=[{"modality": "rgb", "metrics": {}, "picture": b"no picture"}],
        )


def test_even_indices():
    assert even_indices(286, 8) == [17, 53, 89, 125, 160, 196, 232, 268]
    assert even_indices(3, 8) == [0, 1, 2] and even_indices(0) == []


def test_palette_tells_classes_apart():
    colours = class_palette(40)
    assert colours.shape == (40, 3) and len(np.unique(colours, axis=0)) == 40
    np.testing.assert_array_equal(class_palette(5), colours[:5])


@pytest.mark.parametrize("span", [(0, 0), (0, 23.4), (3.2, 3.3), (-2, 7), (0, 1e6)])
def test_ticks_cover_the_span(span):
    marks = charts.ticks(*span)
    assert marks[0] <= span[0] and marks[-1] >= span[1] and 2 <= len(marks) <= 9
    np.testing.assert_allclose(np.diff(marks), marks[1] - marks[0])


def test_a_flat_line_and_a_single_point_are_drawn():
    for xs in ([0.0, 5.0], [0.0]):
        line = charts.Line("val", "val", np.array(xs), np.full(len(xs), 3.0))
        assert "nan" not in charts.line_chart([line], EVIL) and EVIL not in charts.line_chart([line], EVIL)
    assert charts.line_chart([], "nothing") == ""
