"""Pre-training with captions and boxes: end to end, resumed, and what is refused."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from world import CONFIG, MODEL

import tst.readers
from annotated import make_annotated
from captures import write_labelled
from tst.errors import UserError
from tst.files import read_json
from tst.modalities.derive import derive
from tst.pretraining.batches import Batch, BatchMaker, model_table
from tst.pretraining.initial import read_initial
from tst.pretraining.pretrain import load_pretrained, pretrain
from tst.runs import read_metrics
from tst.sequences.text import EOS, FILE, PAD, TextTokenizer
from tst.sequences.train import tokenize_text
from tst.space import Space
from tst.tokenizers.tokenizer import Tokenizer
from tst.tokenizers.train import save_tokenizer

MODULE = importlib.import_module("tst.pretraining.pretrain")
STEPS = CONFIG.replace(steps=6, num_input=4, num_target=6)


@dataclass
class Told:
    space: Space
    labelled: Space
    tokenizers: Mapping[str, Path]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    folder = tmp_path_factory.mktemp("told")
    space = derive(make_annotated(folder))
    labelled = derive(tst.readers.read("labelled", write_labelled(folder / "labelled"), folder / "labelled_space"))
    tokenizers = {}
    torch.manual_seed(0)
    for name in ("rgb", "depth", "normals"):
        tokenizers[name] = folder / "tokenizers" / name
        save_tokenizer(tokenizers[name] / "tokenizer.safetensors", Tokenizer(name, 32, MODEL))
    return Told(space, labelled, tokenizers | tokenize_text(space, folder / "tokenizers", ("caption", "det")))


def run(told: Told, out: Path, **changes: object) -> Path:
    config = STEPS.replace(**changes)
    return pretrain(told.space, told.tokenizers, out, transfer=told.labelled, config=config, precision="32-true")


def test_it_learns_sequences_and_tells_held_back_frames(told: Told, tmp_path: Path) -> None:
    out = run(told, tmp_path / "run")
    done, rows = read_json(out / "done.json"), read_metrics(out / "metrics.jsonl")
    names = {name for row in rows for name in row}
    assert {"loss/caption", "loss/det", "val_loss/det", "val_right/det"} <= names
    assert set(done["told"]) == {"caption", "det"}
    assert set(done["told"]["det"]) == {"recall", "precision", "recall_of_others", "precision_of_others"}
    assert (out / "told.png").stat().st_size > 1000 and len(read_json(out / "told.json")) == 2
    tensors, metadata = load_pretrained(out)
    text = TextTokenizer.load(out / FILE)
    assert metadata["text_tokenizer"] == text.key and metadata["vocabularies"]["caption"] == text.vocabulary
    assert set(metadata["tokenizers"]) == {"rgb", "depth", "normals"}
    table = model_table(metadata["vocabularies"], 32)
    assert [spec.name for spec in table][-2:] == ["caption", "det"]
    assert tensors["encoder_embeddings.caption.token_emb.weight"].shape == (text.vocabulary, 192)
    assert read_initial(out).rgb_encoder().encoder_norm.weight.isfinite().all()  # the run can be transferred


def test_the_transfer_set_has_no_sequences(told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Batch] = []
    draw = BatchMaker.draw

    def spy(self: BatchMaker, generator: torch.Generator) -> Batch:
        seen.append(draw(self, generator))
        return seen[-1]

    monkeypatch.setattr(BatchMaker, "draw", spy)
    monkeypatch.setattr(MODULE, "measure_telling", lambda *arguments: {})
    run(told, tmp_path / "run", steps=2)
    for batch in seen:
        assert batch.available_BM[:, -2:].tolist() == [[True, True]] * 2 + [[False, False]] * 2
        assert (batch.sequences["det"][2:] == PAD).all()
        assert (batch.sequences["det"][:2] == EOS).any(1).all()


def test_a_killed_run_resumes_to_the_same_weights(told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MODULE, "measure_telling", lambda *arguments: {})  # takes longest, after the last step
    whole = run(told, tmp_path / "whole")
    draw, calls = BatchMaker.draw, []

    def killed(self: BatchMaker, generator: torch.Generator) -> Batch:
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return draw(self, generator)

    with monkeypatch.context() as patch:
        patch.setattr(BatchMaker, "draw", killed)
        with pytest.raises(KeyboardInterrupt):
            run(told, tmp_path / "killed")
    expected, found = load_pretrained(whole)[0], load_pretrained(run(told, tmp_path / "killed"))[0]
    assert all(torch.equal(value, found[name]) for name, value in expected.items())


def test_without_a_decoder_it_says_what_to_do(told: Told, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"caption, det: sequences are told by the decoder.*--decoder-depth 2"):
        run(told, tmp_path / "run", decoder_depth=0, all_to_all=False)
    run(told, tmp_path / "run", objective="mae", num_input=0, num_target=0, steps=1)  # takes RGB alone


def test_a_space_without_annotations_leaves_them_out(told: Told, tmp_path: Path) -> None:
    bare = derive(tst.readers.read("labelled", write_labelled(tmp_path / "labelled"), tmp_path / "space"))
    out = pretrain(bare, told.tokenizers, tmp_path / "run", config=STEPS.replace(steps=1), precision="32-true")
    assert set(load_pretrained(out)[1]["vocabularies"]) == {"rgb", "depth", "normals"}
    assert not (out / FILE).exists() and "told" not in read_json(out / "done.json")
