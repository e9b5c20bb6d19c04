"""Tiny weights of every kind of labeller, and networks as small."""

from pathlib import Path

import pytest
from label_weights import STAGES, WRITERS

from tst.labellers import hed, sam_edges


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """HED's files have no config; here the network is small. So is SAM's grid of points."""
    monkeypatch.setattr(hed, "STAGES", STAGES)
    monkeypatch.setattr(sam_edges, "POINTS", 3)


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """By kind."""
    root = tmp_path_factory.mktemp("labellers")
    return {kind: write(root / kind) for kind, write in WRITERS.items()}
