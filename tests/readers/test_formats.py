"""Every capture format: read what an independent writer wrote of a known room, true, faulty, damaged and fuzzed."""

import random
import re
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scene import FAULTS, Scene, assert_one_room
from writers import WRITERS, Dropped

from tst.errors import UserError
from tst.readers import READERS, read, recognised
from tst.space import Space

POSED = [name for name, writer in WRITERS.items() if getattr(writer, "FAULTS", FAULTS)]
FAULTY = [(name, fault) for name, writer in WRITERS.items() for fault in getattr(writer, "FAULTS", FAULTS)]
DAMAGED = [(name, what) for name, writer in WRITERS.items() for what in writer.DAMAGE]


def write_and_read(name: str, tmp_path: Path, scene: Scene) -> Space:
    source = WRITERS[name].write(tmp_path / "capture", scene)
    return read(name, source, tmp_path / "space", **getattr(WRITERS[name], "OPTIONS", {}))


def test_every_format_has_a_writer() -> None:
    assert set(WRITERS) == set(READERS) - {"nerfstudio", "labelled"}  # these two have tests of their own


@pytest.mark.parametrize("name", WRITERS)
def test_it_is_recognised(name: str, tmp_path: Path) -> None:
    source = WRITERS[name].write(tmp_path / "capture", Scene(frames=2))
    (found,) = recognised(source)
    assert found.format == name and found.reason


@pytest.mark.parametrize("name", WRITERS)
def test_all_frames_arrive(name: str, tmp_path: Path) -> None:
    space = write_and_read(name, tmp_path, Scene())
    assert len(space) == 6
    assert "rgb" in space.modalities()
    space.check(full=True)


@pytest.mark.parametrize("name", POSED)
def test_points_of_different_frames_agree(name: str, tmp_path: Path) -> None:
    (walk,) = write_and_read(name, tmp_path, Scene()).walks.values()
    assert_one_room(walk)


@pytest.mark.parametrize(("name", "fault"), FAULTY)
def test_a_faulty_capture_fails_that_proof(name: str, fault: str, tmp_path: Path) -> None:
    (walk,) = write_and_read(name, tmp_path, Scene().with_fault(fault)).walks.values()
    with pytest.raises(pytest.fail.Exception, match="disagree"):
        assert_one_room(walk)


@pytest.mark.parametrize(("name", "what"), DAMAGED)
def test_damaged(name: str, what: str, tmp_path: Path) -> None:
    damage, outcome = WRITERS[name].DAMAGE[what]
    source = WRITERS[name].write(tmp_path / "capture", Scene())
    source = damage(source) or source
    options = getattr(WRITERS[name], "OPTIONS", {})
    if isinstance(outcome, Dropped):
        (walk,) = read(name, source, tmp_path / "space", **options).walks.values()
        reasons = [reason for _, reason in walk.dropped()]
        assert len(reasons) == outcome.number and len(walk) == 6 - outcome.number
        for reason in reasons:
            assert re.search(outcome.reason, reason), reason
        return
    with pytest.raises(UserError, match=outcome) as caught:
        read(name, source, tmp_path / "space", **options)
    assert "\n" not in str(caught.value)
    assert not [path for path in tmp_path.iterdir() if path != tmp_path / "capture"], "something was left behind"


@pytest.mark.parametrize("name", WRITERS)
def test_noise_in_any_file_is_an_error_or_a_skip(name: str, tmp_path: Path) -> None:
    """Bytes of any file changed, cut or swollen: a Space or a UserError, never another exception."""
    source = WRITERS[name].write(tmp_path / "capture", Scene())
    files = sorted(path for path in (tmp_path / "capture").rglob("*") if path.is_file())
    trials = count()

    @settings(max_examples=24, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(files), st.sampled_from(["change", "cut", "swell"]), st.randoms(use_true_random=False))
    def noisy(path: Path, what: str, chance: random.Random) -> None:
        whole = path.read_bytes()
        data = bytearray(whole)
        at = chance.randrange(len(data) + 1)
        if what == "change":
            for _ in range(1 + len(data) // 200):
                if data:
                    data[chance.randrange(len(data))] = chance.randrange(256)
        elif what == "cut":
            del data[at:]
        else:
            data[at:at] = chance.randbytes(64)
        path.write_bytes(data)
        try:
            read(name, source, tmp_path / f"space{next(trials)}", **getattr(WRITERS[name], "OPTIONS", {}))
        except UserError as error:
            assert "\n" not in str(error)
        finally:
            path.write_bytes(whole)

    noisy()
