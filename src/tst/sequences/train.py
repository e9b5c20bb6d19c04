"""The text tokenizer of a Space: one for all its sequence modalities, in a run folder beside the other tokenizers."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from tst.files import read_json
from tst.runs import Run
from tst.sequences import SEQUENCES
from tst.sequences.text import FILE, TextTokenizer
from tst.space.space import Space

FOLDER = "text"


def tokenize_text(
    space: Space,
    out: Path,
    modalities: Iterable[str],
    *,
    transfer: Space | None = None,
    transfer_modalities: Iterable[str] = (),
    text: Path | None = None,
) -> dict[str, Path]:
    """Make the text tokenizer from the strings of a Space, and return its folder by sequence modality.

    Args:
        out: folder of the tokenizers; `text` in it becomes a run folder with `text_tokenizer.json`.
        modalities: names; those that are no sequence, and those that `space` lacks, are left out.
        transfer: a second Space whose strings are learnt from for `transfer_modalities`.
        text: take this tokenizer instead, such as 4M's text_tokenizer_4m_wordpiece_30k.json.

    Raises:
        UserError: annotations or `text` are damaged, or the run folder belongs to other settings.
    """
    names = [name for name in SEQUENCES if name in set(modalities) and SEQUENCES[name].is_in(space)]
    if not names:
        return {}
    spaces = {name: _learnt_from(name, space, transfer, transfer_modalities) for name in names}
    inputs = {name: [SEQUENCES[name].source_key(item) for item in found] for name, found in spaces.items()}
    folder = Path(out) / FOLDER
    given = TextTokenizer.load(text) if text else None
    settings = {"modalities": names, "text": given.key if given else None}
    with Run(folder, "tokenize text", settings, inputs) as run:
        if not run.summary:
            tokenizer = given or _train(spaces)
            tokenizer.save(folder / FILE)
            run.finish({"modalities": names, "vocabulary": tokenizer.vocabulary, "key": tokenizer.key})
    return dict.fromkeys(names, folder)


def text_folders(tokenizers: Path) -> dict[str, Path]:
    """What `tokenize_text` returned for a folder of tokenizers; nothing if it made none there."""
    done = Path(tokenizers) / FOLDER / "done.json"
    return dict.fromkeys(read_json(done)["modalities"], done.parent) if done.is_file() else {}


def _learnt_from(name: str, space: Space, transfer: Space | None, allowed: Iterable[str]) -> list[Space]:
    takes = transfer is not None and name in set(allowed) and SEQUENCES[name].is_in(transfer)
    return [space, transfer] if takes and transfer is not None else [space]


def _train(spaces: Mapping[str, list[Space]]) -> TextTokenizer:
    texts: list[str] = []
    classes: list[str] = []
    for name, found in spaces.items():
        for item in found:
            texts += SEQUENCES[name].texts(item)
            classes += SEQUENCES[name].class_names(item)
    return TextTokenizer.train(texts, classes)
