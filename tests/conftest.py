"""Fixtures for all tests: tiny captures (captures.py) and Spaces read from them."""

import os

if "PYTEST_XDIST_WORKER" in os.environ:  # a core each; torch reads it when it is imported
    os.environ["OMP_NUM_THREADS"] = "1"

from collections.abc import Callable
from pathlib import Path

import pytest

import tst.readers
from captures import write_labelled, write_nerfstudio
from tst.space import Space


@pytest.fixture
def nerfstudio_walk(tmp_path: Path) -> Callable[..., Path]:
    """Writer of a nerfstudio walk: `nerfstudio_walk(name="walk", **options of write_nerfstudio)` gives its folder."""
    return lambda name="walk", **options: write_nerfstudio(tmp_path / "captures" / name, **options)


@pytest.fixture
def labelled_folder(tmp_path: Path) -> Callable[..., Path]:
    """Writer of a labelled folder: `labelled_folder(name="labelled", **options of write_labelled)` gives it."""
    return lambda name="labelled", **options: write_labelled(tmp_path / "captures" / name, **options)


@pytest.fixture
def walk_space(nerfstudio_walk: Callable[..., Path], tmp_path: Path) -> Space:
    """A Space with one unlabelled walk: rgb 96x80, depth 48x40, poses."""
    return tst.readers.read("nerfstudio", nerfstudio_walk(labels=False), tmp_path / "walk_space")


@pytest.fixture
def labelled_space(labelled_folder: Callable[..., Path], tmp_path: Path) -> Space:
    """A Space of labelled images, 64x64: rgb, depth, semantic (3 classes), instance, splits."""
    return tst.readers.read("labelled", labelled_folder(), tmp_path / "labelled_space")
