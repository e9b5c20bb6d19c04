"""Fixtures for the tests of pre-training."""

from pathlib import Path

import pytest
from world import World, make_world

from specified_models import write_vit


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A walk, a labelled set and tokenizers."""
    return make_world(tmp_path_factory.mktemp("pretrain"))


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny DINOv2."""
    return write_vit(tmp_path_factory.mktemp("vit"))
