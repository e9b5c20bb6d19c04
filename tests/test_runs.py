"""Run folders: one process at a time, one config, nothing overwritten."""

import errno
import json
from pathlib import Path

import pytest
import torch

from tst.errors import UserError
from tst.files import write_json
from tst.runs import Run, differences, load_tensors, read_metrics, save_tensors


def test_two_processes_cannot_share_a_run_folder(tmp_path: Path) -> None:
    with (
        Run(tmp_path / "run", "test", {"a": 1}),
        pytest.raises(UserError, match="another process is working"),
        Run(tmp_path / "run", "test", {"a": 1}),
    ):
        pass
    with Run(tmp_path / "run", "test", {"a": 1}) as run:  # free again
        assert run.summary is None


def test_other_settings_are_refused_and_named(tmp_path: Path) -> None:
    with Run(tmp_path / "run", "test", {"optim": {"lr": 1.0}}):
        pass
    with (
        pytest.raises(UserError, match=r"config\.optim\.lr: 1\.0 -> 2\.0"),
        Run(tmp_path / "run", "test", {"optim": {"lr": 2.0}}),
    ):
        pass


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="not empty and not a run folder"), Run(tmp_path, "test", {}):
        pass
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_provenance_names_code_and_versions(tmp_path: Path) -> None:
    with Run(tmp_path / "run", "test", {}, licences=[{"what": "x", "licence": "y"}]):
        pass
    saved = json.loads((tmp_path / "run" / "provenance.json").read_text())
    assert len(saved["code"]["sources"]) == 16
    assert saved["torch"] == torch.__version__
    assert saved["licences"] == [{"what": "x", "licence": "y"}]


def test_tensors_and_metadata_come_back(tmp_path: Path) -> None:
    save_tensors(tmp_path / "a.safetensors", {"x": torch.arange(3), "y": torch.ones(2, 2).T}, {"n": [1, None]})
    tensors, metadata = load_tensors(tmp_path / "a.safetensors")
    assert torch.equal(tensors["x"], torch.arange(3))
    assert metadata == {"n": [1, None]}


@pytest.mark.parametrize("damage", [lambda data: data[:20], lambda data: b"", lambda data: b"\xff" * len(data)])
def test_damaged_weights_are_named(tmp_path: Path, damage) -> None:
    path = tmp_path / "a.safetensors"
    save_tensors(path, {"x": torch.arange(300)}, {})
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=r"a\.safetensors: damaged"):
        load_tensors(path)


def test_a_torn_last_line_of_metrics_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "loss": 2.0}\n{"step": 2, "lo')
    assert read_metrics(path) == [{"step": 1, "loss": 2.0}]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"old": True})

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(UserError, match="disk is full"):
        write_json(path, {"old": False})
    assert json.loads(path.read_text()) == {"old": True}
    assert [item.name for item in tmp_path.iterdir()] == ["a.json"]


def test_differences_name_the_leaves() -> None:
    assert differences({"a": {"b": 1}, "c": 2}, {"a": {"b": 3}, "c": 2}) == ["a.b: 1 -> 3"]
