import json
import math

import numpy as np
import pytest

from tst.errors import UserError
from tst.evaluation.comparison import Comparison, caveats, compare, points, verdict
from tst.evaluation.metrics import FrameConfusions, summarise


def change(result, **fields):
    return FrameConfusions(**{**vars(result), **fields})


def test_rows_and_differences(results):
    found = compare(results, space="flat", transfer_val_miou={"TST-MM": 30.0}, extra={"TST-MM": {"parameters": 7}})
    scratch, mm = found.rows
    assert [row.name for row in found.rows] == ["scratch", "TST-MM"]
    assert mm.seeds == [summarise(result.matrices).miou for result in results["TST-MM"]]
    assert mm.miou == pytest.approx(np.mean(mm.seeds)) and mm.seed_sd == pytest.approx(np.std(mm.seeds, ddof=1))
    assert mm.ci95[0] < mm.miou < mm.ci95[1]
    assert np.array_equal(mm.confusion, sum(result.matrices.sum(0) for result in results["TST-MM"]))
    assert mm.per_class["ghost"] is None and set(mm.per_class) == {"wall", "floor", "chair", "ghost"}
    assert {part: score.frames for part, score in mm.per_part.items()} == {"upper": 35, "lower": 25} == found.parts
    assert (mm.transfer_val_miou, scratch.transfer_val_miou, mm.extra) == (30.0, None, {"parameters": 7})
    (difference,) = found.differences
    assert (difference.a, difference.b) == ("TST-MM", "scratch")
    assert difference.difference == pytest.approx(mm.miou - scratch.miou)
    assert found.difference("scratch", "TST-MM").difference == -difference.difference
    assert found.difference("scratch", "TST-MM").ci95 == (-difference.ci95[1], -difference.ci95[0])
    assert found.best is found.subject is mm and found.baseline is scratch


def test_json_has_the_schema_and_no_nan(results, tmp_path):
    found = compare(
        {**results, "TST-MAE": results["scratch"][:1]}, space="flat", transfer_val_miou={"scratch": math.nan}
    )
    path = found.save(tmp_path)
    assert path == tmp_path / "comparison.json"

    def refuse(constant):
        raise AssertionError(constant)

    written = json.loads(path.read_text(), parse_constant=refuse)
    assert {"name", "miou", "ci95", "seeds", "seed_sd", "pixel_accuracy", "per_class", "per_part", "confusion"} <= set(
        written["rows"][0]
    )
    assert len(written["differences"]) == 3
    assert {"a", "b", "difference", "ci95", "p_value"} <= set(written["differences"][0])
    assert written["rows"][0]["per_class"]["ghost"] is None and written["rows"][0]["transfer_val_miou"] is None
    assert written["rows"][2]["seed_sd"] is None
    assert Comparison.load(path) == found


def test_damaged_json_is_named(results, tmp_path):
    path = compare(results, space="flat").save(tmp_path / "c.json")
    value = json.loads(path.read_text())
    value["rows"][0]["miou"] = "high"
    path.write_text(json.dumps(value))
    with pytest.raises(UserError, match=r"c\.json: rows\.0\.miou"):
        Comparison.load(path)


def test_what_cannot_be_compared(results):
    first = results["scratch"][0]
    for other, message in [
        (change(first, ids=first.ids[::-1]), "different frames"),
        (change(first, class_names=["a", "b", "c", "d"]), "different classes"),
        (change(first, matrices=first.matrices + 1), "different labels"),
    ]:
        with pytest.raises(UserError, match=message):
            compare({"scratch": [first], "TST-MM": [other]}, space="flat")
    with pytest.raises(UserError, match="no labelled pixel"):
        compare({"scratch": [change(first, matrices=0 * first.matrices)]}, space="flat")
    with pytest.raises(UserError, match="no results"):
        compare({"scratch": []}, space="flat")


def test_verdict_in_words(results):
    a, b = results["scratch"], results["TST-MM"]
    assert verdict(compare(results, space="flat")).startswith("TST-MM beats scratch by ")
    assert verdict(compare(results, space="flat")).endswith("on 60 frames of flat.")
    assert verdict(compare({"scratch": b, "TST-MM": a}, space="flat")).startswith("TST-MM falls behind scratch by ")
    same = compare({"scratch": a, "TST-MM": a}, space="flat")
    assert verdict(same).startswith("No difference between TST-MM and scratch could be shown: 0.0 points")
    alone = compare({"TST-MM": b[:1]}, space="flat")
    assert "nothing was compared" in verdict(alone) and "trained once" in " ".join(caveats(alone))


def test_seeds_that_scatter_soften_the_verdict(results):
    a, b = results["scratch"], results["TST-MM"]
    found = compare({"scratch": a, "TST-MM": [a[0], b[0]]}, space="flat")  # one run as bad as scratch, one good
    assert found.differences[0].ci95[0] > 0
    assert verdict(found).endswith("but not beyond doubt.")
    assert any("another seed" in note for note in caveats(found))


def test_points():
    assert [points(3.14159), points(-0.04, signed=True), points(-2.0), points(2, signed=True)] == [
        "3.1",
        "0.0",
        "−2.0",
        "+2.0",
    ]
