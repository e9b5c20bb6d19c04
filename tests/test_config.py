"""Configs: nested changes, nothing unknown, nothing changed afterwards; the presets are sound."""

import pytest
from pydantic import PositiveInt, ValidationError

from tst.config import Config
from tst.errors import UserError
from tst.presets import PresetName, SpecializeConfig, preset


class Inner(Config):
    size: PositiveInt = 3
    name: str = "a"


class Outer(Config):
    inner: Inner = Inner()
    steps: PositiveInt = 10


def test_a_dict_changes_only_its_own_keys_of_a_nested_config() -> None:
    changed = Outer(inner=Inner(size=5, name="b")).replace(inner={"size": 7})
    assert changed == Outer(inner=Inner(size=7, name="b"), steps=10)
    assert isinstance(changed, Outer) and isinstance(changed.inner, Inner)


def test_a_config_replaces_a_nested_config_as_a_whole() -> None:
    assert Outer(inner=Inner(name="b")).replace(inner=Inner(size=7)) == Outer(inner=Inner(size=7, name="a"))


def test_replacing_leaves_the_original_as_it_was() -> None:
    config = Outer()
    assert config.replace(steps=11).steps == 11
    assert config == Outer()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stepps": 1}, "Outer: stepps = 1: Extra inputs are not permitted"),
        ({"inner": {"sizze": 1}}, "Inner: sizze = 1: Extra inputs are not permitted"),
        ({"steps": 0}, "Outer: steps = 0: Input should be greater than 0"),
        ({"inner": {"size": "many"}}, "Inner: size = 'many': Input should be a valid integer"),
    ],
)
def test_a_wrong_change_names_the_field_the_value_and_what_is_wrong(changes: dict, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        Outer().replace(**changes)
    assert "\n" not in str(caught.value)


def test_nothing_unknown_is_taken_and_nothing_changes_later() -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        Outer(stepps=1)  # type: ignore[call-arg]
    with pytest.raises(ValidationError, match="frozen"):
        Outer().steps = 3  # type: ignore[misc]


@pytest.mark.parametrize("name", ["cpu", "gpu", "auto", "paper"])
def test_presets_are_valid_and_survive_json(name: PresetName) -> None:
    config = preset(name)
    assert SpecializeConfig.model_validate_json(config.model_dump_json()) == config
    resolutions = {config.tokenize.views.resolution, config.pretrain.views.resolution, config.finetune.views.resolution}
    assert len(resolutions) == 1 and config.pretrain.size == config.finetune.size
    assert config.rows == ("scratch", "multimodal scratch", "TST-MAE", "TST-MM")


def test_auto_is_one_of_the_two_presets() -> None:
    assert preset("cpu") != preset("gpu")
    assert preset("auto") in (preset("cpu"), preset("gpu"))


def test_stages_that_disagree_are_told_by_name() -> None:
    with pytest.raises(UserError, match=r"tokenize.views.resolution 128, pretrain.views.resolution 64.*all of them"):
        preset("cpu").replace(pretrain={"views": {"resolution": 64}})
    with pytest.raises(UserError, match=r"pretrain.size, mae.size and finetune.size differ .nano, tiny."):
        preset("cpu").replace(pretrain={"size": "tiny"})
