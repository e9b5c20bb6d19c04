import json
import shutil

import numpy as np
import pytest

from tst.errors import UserError
from tst.modalities import MODALITIES
from tst.modalities.derive import derive
from tst.space.space import Space


def test_derives_what_it_can(walk_space):
    space = derive(walk_space)
    assert {"normals", "edges"} <= set(space.modalities())
    (walk,) = space.walks.values()
    assert walk.read("normals", 0).shape[:2] == walk.read("depth", 0).shape
    assert walk.read("edges", 0).shape == walk.read("rgb", 0).shape[:2]
    recorded = json.loads((space.path / "space.json").read_text())["provenance"]
    assert recorded["normals"]["from"] == ["depth"]
    assert recorded["normals"]["version"] == MODALITIES["normals"].version
    assert not list(space.path.rglob("*.tmp*"))


def test_goes_on_and_keeps_what_is_there(walk_space):
    space = derive(walk_space, ["edges"])
    (walk,) = space.walks.values()
    assert "normals" not in space.modalities()
    kept, lost = walk.file("edges", 0), walk.file("edges", 1)
    MODALITIES["edges"].save(kept, np.full(walk.size(0), 255, np.uint8))
    before = kept.read_bytes()
    lost.unlink()
    derive(Space.open(space.path), ["edges"])
    assert kept.read_bytes() == before and lost.exists()


def test_refuses(walk_space):
    with pytest.raises(UserError, match=r"rgb: cannot be derived.*normals, edges"):
        derive(walk_space, ["rgb"])
    (walk,) = walk_space.walks.values()
    shutil.rmtree(walk.folder("depth"))
    with pytest.raises(UserError, match="normals is derived from depth"):
        derive(walk_space, ["normals"])


def test_an_outdated_derivation_is_not_mixed(walk_space):
    space = derive(walk_space, ["edges"])
    (walk,) = space.walks.values()
    space.record_derived({"edges": {"from": ["rgb"], "version": 0}})
    walk.file("edges", 0).unlink()
    with pytest.raises(UserError, match=r"version 0.*Remove .*edges"):
        derive(Space.open(space.path))
    shutil.rmtree(walk.folder("edges"))
    assert "edges" in derive(Space.open(space.path)).modalities()


def test_a_damaged_source_is_named(walk_space):
    (walk,) = walk_space.walks.values()
    walk.file("depth", 1).write_bytes(b"nothing")
    with pytest.raises(UserError, match=walk.ids[1]):
        derive(walk_space, ["normals"])
    assert "normals" not in Space.open(walk_space.path).modalities()
