"""Sequence modalities: one file each. A file in this folder that defines a `SequenceModality` with a name registers."""

from tst.registry import instances_in
from tst.sequences.base import SequenceModality

SEQUENCES: dict[str, SequenceModality] = {}

__all__ = ["SEQUENCES", "SequenceModality"]

SEQUENCES.update(instances_in(__name__, SequenceModality, "name"))
