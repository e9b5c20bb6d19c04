"""Sequence modalities: one file each. A file in this folder that defines a `SequenceModality` with a name registers."""

from tst.registry import classes_in
from tst.sequences.base import SequenceModality


def _registry() -> dict[str, SequenceModality]:
    found: list[SequenceModality] = [kind() for kind in classes_in(__name__, SequenceModality)]
    registry = {sequence.name: sequence for sequence in sorted(found, key=lambda sequence: sequence.name)}
    assert len(registry) == len(found), "two sequence modalities have one name"
    return registry


SEQUENCES: dict[str, SequenceModality] = {}

__all__ = ["SEQUENCES", "SequenceModality"]

SEQUENCES.update(_registry())
