"""The demo at its smallest: three Spaces of houses, a comparison, and a report that shows where models are right."""

from pathlib import Path

import pytest

from test_specialization import CONFIG
from tst.demo import TRANSFER_SEED, DemoConfig, demo
from tst.errors import UserError
from tst.houses.make import MakeConfig
from tst.presets import preset
from tst.space import Space


class SmallConfig(DemoConfig):
    def spaces(self) -> dict[str, MakeConfig]:
        """The demo's, with little rooms in little light."""
        small = {"rays": 1, "house": {"rooms": 1, "area": 20.0}}
        return {name: item.replace(**small) for name, item in super().spaces().items()}


SMALL = SmallConfig(
    rooms=1,
    frames=6,
    evaluation_frames=4,
    transfer_houses=2,
    transfer_frames=8,
    size=48,
    specialize=CONFIG.replace(rows=("scratch", "TST-MM")),
)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "demo"
    comparison = demo(folder, SMALL)
    assert [row.name for row in comparison.rows] == ["scratch", "TST-MM"]
    return folder


def test_home_is_unlabelled_and_the_others_share_its_classes(out: Path) -> None:
    spaces = {name: Space.open(out / "spaces" / name) for name in ("home", "home-eval", "transfer")}
    assert {name: len(space) for name, space in spaces.items()} == {"home": 6, "home-eval": 4, "transfer": 8}
    assert spaces["home"].classes is None and "semantic" not in spaces["home"].modalities()
    assert spaces["home-eval"].classes == spaces["transfer"].classes


def test_labels_come_from_other_houses_with_other_furniture(out: Path) -> None:
    def made(name: str) -> list[dict[str, object]]:
        return [walk.record.options["house"] for walk in Space.open(out / "spaces" / name).walks.values()]

    assert [house["seed"] for house in made("transfer")] == [TRANSFER_SEED, TRANSFER_SEED + 1]
    assert {house["family"] for house in made("transfer")} == {"out"}
    assert made("home") == made("home-eval") and made("home")[0]["family"] == "in"


def test_the_report_shows_where_and_names_the_furniture(out: Path) -> None:
    text = (out / "run" / "report.html").read_text()
    assert 'id="where"' in text and text.count("from above, plan") == 2
    assert "models of furniture by TST" in text and "Apache-2.0" in text


def test_repeated_it_finds_everything_done(out: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in out.rglob("model.safetensors")}
    demo(out, SMALL)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("model.safetensors")} == before and before


def test_another_house_needs_another_folder(out: Path) -> None:
    with pytest.raises(UserError, match="exists and is not what these options make"):
        demo(out, SMALL.replace(seed=1))


def test_the_preset_is_three_rows_of_one_seed() -> None:
    config = preset("demo")
    assert config.rows == ("scratch", "TST-MAE", "TST-MM") and config.seeds == 1
    assert config.pretrain.decoder_depth == 0
