"""From the classes that an off-the-shelf segmenter names to those of a Space."""

import difflib
import json
from collections.abc import Sequence
from pathlib import Path

from tst.errors import UserError
from tst.files import read_json

# What counts as one of the common indoor classes, in the words of ADE20K: as transformers' models spell them, and in
# the one-word labels of DeepLab's files ("coffee" is their coffee table, "swivel" the chair, "kitchen" the island).
# Rugs are floor, cushions pillows and blankets bed, as in the merged classes of Replica and NYUv2.
SYNONYMS: dict[str, list[str]] = {
    "wall": ["wall", "column"],
    "floor": ["floor", "rug"],
    "ceiling": ["ceiling"],
    "door": ["door", "screen door"],
    "window": ["window", "windowpane", "curtain", "blind"],
    "cabinet": [
        *("cabinet", "wardrobe", "shelf", "bookcase", "buffet"),
        *("case", "chest of drawers", "chest"),
    ],
    "counter": ["counter", "countertop", "kitchen island", "kitchen", "bar"],
    "chair": ["chair", "armchair", "swivel chair", "swivel", "seat", "stool", "bench", "ottoman"],
    "sofa": ["sofa"],
    "table": ["table", "desk", "coffee table", "coffee", "pool table"],
    "bed": ["bed", "blanket", "cradle"],
    "pillow": ["pillow", "cushion"],
    "picture": ["picture", "painting", "poster"],
    "lamp": ["lamp", "light", "chandelier", "sconce"],
    "refrigerator": ["refrigerator"],
    "bathroom-fixture": ["sink", "toilet", "bathtub", "shower"],
}


def class_groups(labels: Sequence[str], classes: Sequence[str], mapping: Path | None = None) -> list[list[int]]:
    """For each class of a Space the indices of the segmenter's labels that stand for it; none where there is nothing.

    Args:
        labels: of the segmenter.
        classes: of the Space.
        mapping: JSON, {class of the Space: [labels]}. By default by name, with `SYNONYMS` for common indoor classes.

    Raises:
        UserError: the file names an unknown class or label, uses a label twice, or nothing can be mapped by name.
    """
    known = [label.strip().lower() for label in labels]
    if mapping is None:
        wanted = {name: SYNONYMS.get(name.lower(), [name.lower()]) for name in classes}
    else:
        wanted = _read(mapping, known, classes)
    groups = [[i for i, label in enumerate(known) if label in wanted.get(name, [])] for name in classes]
    if not any(groups):
        raise UserError(
            f"no class ({', '.join(classes[:4])}, ...) is a label of the segmenter ({', '.join(known[:4])}, ...). "
            "Give --class-mapping FILE.json: {class: [its labels]}."
        )
    return groups


def _read(path: Path, known: Sequence[str], classes: Sequence[str]) -> dict[str, list[str]]:
    content = read_json(path)
    if not isinstance(content, dict) or not all(
        isinstance(names, list) and all(isinstance(name, str) for name in names) for names in content.values()
    ):
        raise UserError(
            f"{path}: not a mapping. Write a JSON object: {{class of the space: [labels of the segmenter]}}."
        )
    wanted = {name: [label.strip().lower() for label in names] for name, names in content.items()}
    used: set[str] = set()
    for name, found in wanted.items():
        if name not in classes:
            raise UserError(f"{path}: {json.dumps(name)} is no class of the space. Use {', '.join(classes)}.")
        for label in found:
            if label not in known:
                near = difflib.get_close_matches(label, known, 1)
                hint = f" Did you mean {json.dumps(near[0])}?" if near else f" It has {', '.join(known[:6])}, ..."
                raise UserError(f"{path}: {json.dumps(label)} is no label of the segmenter.{hint}")
            if label in used:
                raise UserError(f"{path}: {json.dumps(label)} stands for two classes. Keep one.")
            used.add(label)
    return wanted
