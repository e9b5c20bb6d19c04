"""The command line: help for every command, presets, nested options, and errors as one line."""

import importlib
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import tst
from tst.cli import COMMANDS, main
from tst.errors import UserError
from tst.presets import SpecializeConfig, preset
from tst.space import Space

MODULE = importlib.import_module("tst.specialization.specialize")
OPTIONS = {
    "read": ["--walk", "--classes", "--frames", "--keep", "--short-side", "--confidence"],
    "info": ["--check"],
    "show": ["--out", "--frames"],
    "check": ["--out"],
    "view": ["--out", "--walk", "--frames", "--every"],
    "derive": ["--modalities"],
    "map": ["--out", "--model", "--cell", "--short-side", "--copies.flip", "--copies.scales"],
    "fuse": ["--again", "--least-views", "--map.cell", "--map.short-side"],
    "label": ["--with", "--resolution", "--batch-size", "--memory", "--again", "--download", "--ray", "--workers"],
    "tokenize": ["--out", "--transfer", "--preset", "--steps", "--views.resolution", "--model.width", "--optim.lr"],
    "pretrain": [
        "--tokenizers",
        "--out",
        "--transfer",
        "--preset",
        "--objective",
        "--size",
        "--jitter.gamma",
        "--init",
        "--teacher",
        "--adapt.preserve",
    ],
    "transfer": [
        "--out",
        "--encoder",
        "--backbone",
        "--specialist",
        "--freeze",
        "--preset",
        "--epochs",
        "--views.resolution",
        "--head-channels",
    ],
    "selftrain": [
        "--model",
        "--labelled",
        "--out",
        "--teacher",
        "--rounds",
        "--steps",
        "--fuse.share",
        "--fuse.map.cell",
    ],
    "evaluate": ["--out", "--preset", "--scale", "--flip", "--batch-size"],
    "demo": ["--out", "--seed", "--rooms", "--transfer-houses", "--specialize.pretrain.steps"],
    "house make": [
        "--seed",
        "--house.family",
        "--houses",
        "--frames",
        "--walk",
        "--labels",
        "--size",
        "--faults.depth",
    ],
    "house view": ["--seed", "--rooms", "--frames", "--perturbation"],
    "furniture add": ["LIBRARY"],
    "furniture install": ["--help"],
    "specialize": [
        *("--transfer", "--evaluate", "--out", "--task", "--preset", "--seeds", "--rows"),
        *("--tokenize.steps", "--pretrain.steps", "--pretrain.optim.lr", "--finetune.epochs", "--predict.scale"),
    ],
}


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Help is wrapped to the terminal; here it is wide, and has no colours."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")


def ends_with(code: int, *arguments: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    assert (ended.value.code or 0) == code


def help_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    ends_with(0, *arguments, "--help")
    return re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)


def test_the_options_of_all_commands_are_tested() -> None:
    assert OPTIONS.keys() == COMMANDS.keys()


@pytest.mark.parametrize("name", COMMANDS)
def test_help_tells_every_option(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = help_of(capsys, *name.split())
    assert f"tst {name}" in text
    for option in OPTIONS[name]:
        assert re.search(rf"(?<![\w.-]){re.escape(option)}(?![\w.-])", text), option


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_help_without_a_command_lists_the_commands(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    main(arguments)
    text = capsys.readouterr().out
    for name, (_, line) in COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(line)}$", text, re.MULTILINE)


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--version"])
    assert capsys.readouterr().out.strip() == tst.__version__


def test_an_unknown_command_lists_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    ends_with(2, "specialise")
    error = capsys.readouterr().err
    assert "no command 'specialise'" in error and "specialize" in error and error.count("\n") == 1


def test_an_unknown_option_is_a_wrong_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ends_with(2, "info", str(tmp_path), "--chekc")
    assert "--chekc" in capsys.readouterr().err


def test_an_error_that_the_user_can_mend_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ends_with(1, "info", str(tmp_path / "nowhere"))
    captured = capsys.readouterr()
    assert captured.err.startswith("tst info: ") and "nowhere" in captured.err
    assert captured.err.count("\n") == 1 and "Traceback" not in captured.err and not captured.out


def test_a_folder_without_tokenizers_says_what_to_run(
    walk_space: Space, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tokenizers = tmp_path / "tokenizers"
    ends_with(1, "pretrain", str(walk_space.path), "--tokenizers", str(tokenizers), "--out", str(tmp_path / "run"))
    error = capsys.readouterr().err
    assert "no tokenizers. Run `tst tokenize" in error and error.count("\n") == 1


def test_an_interrupted_command_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(path: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Space, "open", interrupted)
    ends_with(130, "info", str(tmp_path))
    assert "The same command goes on from here" in capsys.readouterr().err


def test_info_and_derive_work_on_a_space(walk_space: Space, capsys: pytest.CaptureFixture[str]) -> None:
    main(["info", str(walk_space.path), "--check"])
    assert "depth" in capsys.readouterr().out
    main(["derive", str(walk_space.path), "--modalities", "edges"])
    assert "edges" in capsys.readouterr().out
    assert "edges" in Space.open(walk_space.path).modalities()


@pytest.mark.parametrize("form", ["--preset gpu", "--preset=gpu"])
def test_the_preset_changes_the_defaults_that_help_shows(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    def default(text: str) -> str:
        found = re.search(r"--steps INT.*?default: (\d+)", text, re.DOTALL)
        assert found
        return found[1]

    assert default(help_of(capsys, "tokenize", *form.split())) == str(preset("gpu").tokenize.steps)
    assert default(help_of(capsys, "tokenize", "--preset", "cpu")) == str(preset("cpu").tokenize.steps)
    assert default(help_of(capsys, "pretrain", "--preset", "cpu")) == str(preset("cpu").pretrain.steps)
    adapting = help_of(capsys, "pretrain", "--preset", "cpu", "--init", "weights")
    assert default(adapting) == str(preset("cpu").adaptation.steps)


@pytest.fixture
def specialized(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What `tst specialize` hands to the function, which does nothing here."""
    given: dict[str, Any] = {}

    def fake(space: Path, **options: Any) -> SimpleNamespace:
        given.update(options, space=space)
        row = SimpleNamespace(name="TST-MM", miou=41.5, ci95=(40.0, 43.0), seeds=[41.5])
        return SimpleNamespace(rows=[row])

    monkeypatch.setattr(MODULE, "specialize", fake)
    return given


def specialize(*options: str) -> None:
    main(["specialize", "home", "--transfer", "labelled", "--evaluate", "other", "--out", "runs/home", *options])


def test_a_nested_option_changes_that_field_alone(
    specialized: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    specialize("--preset", "cpu", "--pretrain.steps", "7", "--pretrain.optim.lr", "0.002")
    assert specialized["config"] == preset("cpu").replace(pretrain={"steps": 7, "optim": {"lr": 0.002}})
    assert isinstance(specialized["config"], SpecializeConfig)
    assert (specialized["space"], specialized["transfer"]) == (Path("home"), Path("labelled"))
    assert (specialized["evaluate"], specialized["out"]) == (Path("other"), Path("runs/home"))
    assert specialized["task"] == "segmentation"
    printed = capsys.readouterr().out
    assert "TST-MM" in printed and "mIoU  41.50" in printed and "runs/home/report.html" in printed


def test_options_are_laid_over_the_preset_wherever_it_stands(specialized: dict[str, Any]) -> None:
    specialize("--seeds", "2", "--preset", "gpu")
    assert specialized["config"] == preset("gpu").replace(seeds=2)


def test_a_tuple_is_given_as_words(specialized: dict[str, Any]) -> None:
    specialize("--preset", "cpu", "--rows", "scratch", "TST-MM")
    assert specialized["config"].rows == ("scratch", "TST-MM")


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        (["--pretrain.steps", "0"], "greater than 0"),
        (["--pretrain.steps", "many"], "many"),
        (["--preset", "cpu", "--pretrain.views.resolution", "64"], "pretrain.views.resolution 64"),
        (["--tokenize.model.width", "100"], "width 100 is not a multiple of 64"),
        (["--preset", "tpu"], "tpu"),
    ],
)
def test_values_that_do_not_fit_are_told_without_a_traceback(
    options: list[str], hint: str, specialized: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        specialize(*options)
    assert ended.value.code == 2
    captured = capsys.readouterr()
    assert hint in " ".join(re.sub(r"[│╭╮╰╯─]", " ", captured.err + captured.out).split())
    assert "Traceback" not in captured.err
    assert not specialized


def test_errors_of_a_stage_reach_the_user_as_they_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*arguments: Any, **options: Any) -> None:
        raise UserError("runs/home: holds a run with other settings. Choose another --out.")

    monkeypatch.setattr(MODULE, "specialize", fails)
    with pytest.raises(SystemExit) as ended:
        specialize()
    assert ended.value.code == 1
    expected = "tst specialize: runs/home: holds a run with other settings. Choose another --out.\n"
    assert capsys.readouterr().err == expected


def test_a_format_has_its_own_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--focal" in help_of(capsys, "read", "labelled")
    assert "--focal" not in help_of(capsys, "read", "nerfstudio")
