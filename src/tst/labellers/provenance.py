"""What space.json tells of labels, and which modalities are not the sensors' own."""

from typing import Any

from tst.errors import UserError
from tst.labellers.base import Labeller
from tst.licences import is_non_commercial
from tst.modalities import MODALITIES
from tst.space.space import Space

COMPARED = ("weights", "settings", "classes", "version", "modality_version")


def pseudo_labels(space: Space) -> dict[str, dict[str, Any]]:
    """Modalities of a Space that a labeller wrote or that were derived from such, with their provenance.

    What is left of `space.modalities()` is sensors only. `boxes` stands for `annotations/boxes.json`.
    """
    entries = space.file.provenance
    found = {name for name, entry in entries.items() if "labeller" in entry}
    while more := {name for name, entry in entries.items() if found & set(entry.get("from", ()))} - found:
        found |= more
    return {name: entries[name] for name in entries if name in found}


def entry_of(labeller: Labeller) -> dict[str, Any]:
    """What is recorded of a labeller, JSON-able."""
    modality = MODALITIES.get(labeller.modality)
    return {
        "from": ["rgb"],
        "labeller": labeller.name,
        "weights": labeller.key,
        "licence": labeller.licence,
        "non_commercial": is_non_commercial(labeller.licence),
        "settings": labeller.settings,
        "classes": labeller.classes,
        "version": labeller.version,
        "modality_version": modality.version if modality else 1,
    }


def check_same(space: Space, labeller: Labeller) -> bool:
    """Whether the labels that are there were made as these would be; True too where there are none.

    Raises:
        UserError: there are labels that no labeller recorded.
    """
    walks = [walk for walk in space.walks.values() if not labeller.captured(walk)]
    begun = [walk for walk in walks if labeller.begun(walk)]
    recorded = space.file.provenance.get(labeller.modality)
    if not begun:
        return True
    if recorded is None or "labeller" not in recorded:
        raise UserError(
            f"{labeller.folder(begun[0])}: holds {labeller.modality} that `tst label` did not make. "
            "Move them elsewhere first."
        )
    made = entry_of(labeller)
    return all(recorded.get(name) == made[name] for name in COMPARED)


def differences(space: Space, labeller: Labeller) -> str:
    """What differs between a labeller and the recorded one, in words."""
    recorded, made = space.file.provenance[labeller.modality], entry_of(labeller)
    told = []
    for name in COMPARED:
        old, new = recorded.get(name), made[name]
        if old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            told += [f"{key} {old.get(key)}, now {new.get(key)}" for key in new if old.get(key) != new.get(key)]
        else:
            told.append(f"{name}" + ("" if isinstance(new, list) else f" {old}, now {new}"))
    return "; ".join(told)
